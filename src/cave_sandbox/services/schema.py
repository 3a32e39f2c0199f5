"""The schema service: the names and documents of annotation schemas."""

from __future__ import annotations

from cave_sandbox.tables.schemas import documents
from cave_sandbox.web.handler import ConstantHandler, Handler


class TypesHandler(Handler):
    """The schemas: their names, all documents, or the document of one schema."""

    def get(self, kind: str, name: str | None = None) -> None:
        """Answer with names or documents."""
        if name is not None and name not in documents():
            self.send_error_page(404)
        elif name is not None:
            self.send_json(documents()[name])
        else:
            self.send_json(list(documents()) if kind == "type" else documents())


class NamedTypesHandler(Handler):
    """Several schemas, named in the address."""

    def post(self) -> None:
        """Answer with their documents; unknown names are left out."""
        names = self.get_query_argument("schema_names", "").split(",")
        self.send_json({name: documents()[name] for name in names if name in documents()})


ROUTES = [
    (r"/schema/versions", ConstantHandler, {"value": [2]}),
    (r"/schema/(?:api/v2/)?(type|types_all)", TypesHandler),
    (r"/schema/(?:api/v2/)?types", NamedTypesHandler),
    (r"/schema/(?:api/v2/)?(type)/([^/]+)", TypesHandler),
]
