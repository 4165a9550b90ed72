"""The first hour of somebody who writes Python, with the client that openapi-python-client made: run by main.rs."""

import sys

import httpx
from contactd_client import AuthenticatedClient, Client
from contactd_client.api.auth import sign_up
from contactd_client.api.contacts import create_contact, delete_contact, get_contact, list_contacts, update_contact
from contactd_client.models import Contact, ContactInput, ContactPatch, Problem, Signup, User, ValidationProblem

site = sys.argv[1]
account = Signup(username="Олена", email="olena.py@example.com", password="123456")
nobody = Client(base_url=site)
made = sign_up.sync(client=nobody, body=account)
assert isinstance(made, User) and made.email == account.email, made
taken = sign_up.sync(client=nobody, body=account)
assert isinstance(taken, Problem) and taken.type_ == "urn:contactd:email-taken", taken

# The generator's own code for log_in cannot be imported: it forgets an import where a body has two media types and there is no
# parameter.
login = httpx.post(f"{site}/api/auth/login", json={"email": account.email, "password": account.password})
user = AuthenticatedClient(base_url=site, token=login.json()["access_token"])

created = create_contact.sync_detailed(client=user, body=ContactInput(first_name="Іван", last_name="Франко"))
contact, etag = created.parsed, created.headers["ETag"]
assert isinstance(contact, Contact) and contact.email is None, created
found = list_contacts.sync(client=user, q="франко")
assert [one.id for one in found] == [contact.id], found

changed = update_contact.sync(contact.id, client=user, body=ContactPatch(last_name=None), if_match=etag)
assert isinstance(changed, Contact) and changed.last_name is None, changed
stale = update_contact.sync(contact.id, client=user, body=ContactPatch(last_name=None), if_match=etag)
assert isinstance(stale, Problem) and stale.status == 412, stale
refused = create_contact.sync(client=user, body=ContactInput(first_name=""))
assert isinstance(refused, ValidationProblem) and refused.errors[0].field == "first_name", refused

assert delete_contact.sync_detailed(contact.id, client=user).status_code == 204
gone = get_contact.sync(contact.id, client=user)
assert isinstance(gone, Problem) and gone.status == 404, gone
