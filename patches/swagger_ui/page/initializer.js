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
