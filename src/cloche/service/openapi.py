"""The description of the API (OpenAPI 3.1), from the values that it takes and returns."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, cast

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from cloche.service import problems, views
from cloche.service.wants import Asked
from cloche.targets.description import Change, Description

PREFIX = "/api/v1"
_REF = "#/components/schemas/{name}"
#: What any request with a token may be answered with.
TOKEN = (401, 403, 404, 422, 429, 503)
#: What one with a body may be answered with besides.
BODY = (400, 408, 413, 415)
_TAKEN = (Asked, Change, Description, views.ChangedTarget, views.NewTarget)


def answers(
    kind: Any, *statuses: int, status: int = 200, text: str = "", media: str = "application/json"
) -> dict[str, Any]:
    """Arguments of a route that returns a value, or a problem with one of the statuses."""
    found: dict[int | str, dict[str, Any]] = {status: {"description": text or _phrase(status)}}
    if kind is not None:
        found[status]["content"] = {media: {"schema": _schema(kind)}}
    for each in statuses:
        content = {problems.JSON: {"schema": {"$ref": _REF.format(name="Problem")}}}
        found[each] = {"description": _phrase(each), "content": content}
    return {"responses": found, "status_code": status, "response_class": Response}


def also(route: dict[str, Any], status: int, kind: Any, text: str) -> dict[str, Any]:
    """A route that may also be answered with another status."""
    more = answers(kind, status=status, text=text)["responses"]
    return {**route, "responses": {**route["responses"], **more}}


#: Of a route that needs no token.
OPEN: dict[str, Any] = {"security": []}


def body(required: bool = True, **kinds: Any) -> dict[str, Any]:
    """The body of a request: its media types (``json``, ``text``), each with a value."""
    names = {"json": "application/json", "text": "text/plain"}
    content = {names[name]: {"schema": _schema(kind)} for name, kind in kinds.items()}
    return {"requestBody": {"required": required, "content": content}}


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _schema(kind: Any) -> dict[str, Any]:
    """The schema of a value, by its name."""
    if kind is str:
        return {"type": "string"}
    if isinstance(kind, dict):
        return kind
    return {"$ref": _REF.format(name=kind.__name__)}


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole description."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        shown = (*views.SHOWN, *_TAKEN)
        _, schemas = msgspec.json.schema_components(shown, ref_template=_REF)
        components = found.setdefault("components", {})
        components["schemas"] = {**_for_json(schemas), "Problem": _problem()}
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "basic": {"type": "http", "scheme": "basic"},
        }
        found["security"] = [{"bearer": []}, {"basic": []}]
        app.openapi_schema = found
    return app.openapi_schema


def _problem() -> dict[str, Any]:
    """The schema of a problem document (RFC 9457)."""
    (_,), schemas = msgspec.json.schema_components([problems.Document], ref_template=_REF)
    return cast(dict[str, Any], _for_json(schemas["Document"]))


def _for_json(value: Any) -> Any:
    """A schema with patterns as JSON Schema has them (ECMA-262), not as Python has them."""
    if isinstance(value, dict):
        return {
            name: re.sub(r"\\Z", "$", each.replace(r"\A", "^"))
            if name == "pattern" and isinstance(each, str)
            else _for_json(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_for_json(each) for each in value]
    return value
