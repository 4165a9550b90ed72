"use strict";

// Swagger UI would send the client id and secret, which nobody is asked for, as "Authorization: Basic undefined:…".
// In the body they are left out when they are empty.
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
