"use strict";

// Nobody is asked for an OAuth2 client, yet Swagger UI would send an empty id and secret as Basic credentials. In the
// body, its other way, it leaves out what is empty.
const loginWithoutClient = () => ({
  statePlugins: {
    auth: {
      wrapActions: {
        authorizePassword: (login) => (auth) => login({ ...auth, passwordType: "request-body" }),
      },
    },
  },
});

// Swagger UI's own top bar would do this, with a field for other documents' addresses that has no use here.
if (matchMedia("(prefers-color-scheme: dark)").matches) {
  document.documentElement.classList.add("dark-mode");
}

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  plugins: [loginWithoutClient],
  // A token stays in the page's memory: not in localStorage, where the next person at this browser would find it.
  persistAuthorization: false,
  // No badge from a validator elsewhere.
  validatorUrl: null,
});
