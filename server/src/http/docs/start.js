"use strict";

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  // Keys stay in the page: nothing is stored, nobody else is asked.
  persistAuthorization: false,
  validatorUrl: null,
});
