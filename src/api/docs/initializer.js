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

// Swagger UI shows the example of each error in full: ten boxes, in which the answer that people look for is lost. An error is
// one line here, with its own sentence, and shows its example when it is opened.
const errorsInALine = () => ({
  wrapComponents: {
    response:
      (Response, { React }) =>
      (props) => {
        const problem = props.response?.getIn(["content", "application/problem+json"]);
        if (!problem) {
          return React.createElement(Response, props);
        }
        const several = problem.get("examples")?.valueSeq().map((example) => example.get("value"));
        const examples = several ?? [problem.get("example")];
        const lines = examples.map((example) =>
          React.createElement(
            "details",
            { key: example.get("detail") },
            React.createElement("summary", null, example.get("detail")),
            React.createElement("pre", { className: "example" }, JSON.stringify(example, null, 2)),
          ),
        );
        return React.createElement(
          "tr",
          { className: "response", "data-code": props.code },
          React.createElement("td", { className: "response-col_status" }, props.code),
          React.createElement("td", { className: "response-col_description problem" }, lines),
        );
      },
  },
});

// Each form of the dialog takes the focus when it opens, so the last one has it, and the login is scrolled out of sight.
const loginInSight = () => ({
  wrapComponents: {
    Input:
      (Input, { React }) =>
      (props) =>
        React.createElement(Input, { ...props, autoFocus: false }),
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
  plugins: [loginWithoutClient, errorsInALine, loginInSight],
  // The schemas, below the operations, are closed at first.
  defaultModelsExpandDepth: 0,
  // A token stays in the page's memory: not in localStorage, where the next person at this browser would find it.
  persistAuthorization: false,
  // No badge from a validator elsewhere.
  validatorUrl: null,
});
