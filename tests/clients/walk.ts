// The first hour of somebody who writes TypeScript, with types made from the document: run by main.rs, which compiles it with
// `tsc --strict`. What does not fit the document does not compile.

import createClient from "openapi-fetch";

import type { components, paths } from "./api.js";

declare const process: { argv: string[] };

type Contact = components["schemas"]["Contact"];
type ContactInput = components["schemas"]["ContactInput"];
type ContactPatch = components["schemas"]["ContactPatch"];

function assert(holds: boolean, what: string): asserts holds {
  if (!holds) {
    throw new Error(what);
  }
}

const client = createClient<paths>({ baseUrl: process.argv[2] ?? "" });
const account: components["schemas"]["Signup"] = { username: "Олена", email: "olena.ts@example.com", password: "123456" };

const made = await client.POST("/api/auth/signup", { body: account });
assert(made.data?.email === account.email, "sign up");
const again = await client.POST("/api/auth/signup", { body: account });
// A 409 says by its type which conflict it is; a 422 has its faults.
assert(again.error?.type === "urn:contactd:email-taken", "the address is taken");

const { email, password } = account;
const pair = await client.POST("/api/auth/login", { body: { email, password } });
assert(pair.data !== undefined, "log in");
client.use({
  onRequest({ request }) {
    request.headers.set("Authorization", `Bearer ${pair.data?.access_token}`);
  },
});

const draft: ContactInput = { first_name: "Іван", last_name: "Франко", birthday: "1996-02-29" };
const created = await client.POST("/api/contacts", { body: draft });
const contact: Contact | undefined = created.data;
assert(contact !== undefined && contact.email === null, "create");
const etag = created.response.headers.get("ETag");
assert(etag === '"1"' && created.response.headers.get("Location") === `/api/contacts/${contact.id}`, "its headers");

const found = await client.GET("/api/contacts", { params: { query: { q: "франко", count: true, limit: 1 } } });
assert(found.data?.[0]?.id === contact.id && found.response.headers.get("X-Total-Count") === "1", "find");

const patch: ContactPatch = { last_name: null };
const target = { path: { id: contact.id }, header: { "If-Match": etag } };
const changed = await client.PATCH("/api/contacts/{id}", { params: target, body: patch });
assert(changed.data?.last_name === null && changed.response.headers.get("ETag") === '"2"', "change");
const stale = await client.PATCH("/api/contacts/{id}", { params: target, body: patch });
assert(stale.response.status === 412 && stale.error !== undefined, "a stale version is refused");

const refused = await client.POST("/api/contacts", { body: { first_name: "" } });
assert(refused.response.status === 422 && refused.error !== undefined && "errors" in refused.error, "faults are listed");
assert(refused.error.errors[0]?.field === "first_name", "and named");

const deleted = await client.DELETE("/api/contacts/{id}", { params: { path: { id: contact.id } } });
assert(deleted.response.status === 204, "delete");
const gone = await client.GET("/api/contacts/{id}", { params: { path: { id: contact.id } } });
assert(gone.error?.status === 404, "it is gone");
