"""The API as its own OpenAPI document describes it: whatever is sent, nothing fails inside the server."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi")

from tests.studio.conftest import ROOT, define, links

HOSTILE = [
    "", "x", "pilot", "0" * 16, "../..", "%00", "\x00", "é", "💥", "<script>", "a" * 500, "-1", "1e309", "NaN", "null",
    "'; --", "‮", "\\", "CON", "{{7*7}}",
]  # fmt: skip
TEXT = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20))
NUMBER = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0, 1, -1, 10**30])
)
VALUE: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBER, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
ADDRESS = re.compile(r"\{(\w+)\}")


def document(client: Any) -> Any:
    return client.get("/api/v1/openapi.json").json()


def test_the_document_names_every_address_of_the_api_with_a_sentence(client: Any) -> None:
    told = document(client)
    assert told["info"]["title"] == "dfer studio"
    operations = [operation for path in told["paths"].values() for operation in path.values()]
    assert len(operations) > 30 and all(operation["description"] for operation in operations)
    assert all(path.startswith("/api/v1/") for path in told["paths"])
    assert {"400", "401", "404"} <= set(operations[0]["responses"])


def resolved(schema: Any, whole: Any) -> Any:
    while "$ref" in schema:
        schema = whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def likely(schema: Any, whole: Any, data: Any) -> Any:
    """A value that often fits a schema, and often does not."""
    schema = resolved(schema, whole)
    if data.draw(st.integers(0, 5)) == 0:
        return data.draw(VALUE)
    if "anyOf" in schema:
        return likely(data.draw(st.sampled_from(schema["anyOf"])), whole, data)
    if "enum" in schema:
        return data.draw(st.sampled_from(schema["enum"]))
    kind = schema.get("type")
    if kind == "object":
        names = schema.get("properties", {})
        found = {name: likely(inner, whole, data) for name, inner in names.items() if data.draw(st.integers(0, 4))}
        return found or data.draw(st.dictionaries(TEXT, VALUE, max_size=3))
    if kind == "array":
        return [likely(schema.get("items", {}), whole, data) for _ in range(data.draw(st.integers(0, 3)))]
    return data.draw({"string": TEXT, "integer": NUMBER, "number": NUMBER, "boolean": st.booleans()}.get(kind, VALUE))


@pytest.mark.slow
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_that_is_sent_fails_inside_the_server(client: Any, data: Any) -> None:
    whole = document(client)
    if not client.get("/api/v1/studies").json()["studies"]:
        define(client)
        links(client, "Ann")
    path = data.draw(st.sampled_from(sorted(whole["paths"])))
    method = data.draw(st.sampled_from(sorted(whole["paths"][path])))
    operation = whole["paths"][path][method]
    if path.endswith(("/events", "/examples")) or (path.endswith("/work") and method == "post"):
        return  # these begin what lasts, and have tests of their own
    address = ADDRESS.sub(lambda _: data.draw(st.sampled_from(["pilot", "1", "0" * 16, "x", "%00", "..", "💥"])), path)
    query = {
        each["name"]: likely(each["schema"], whole, data)
        for each in operation.get("parameters", [])
        if each["in"] == "query" and data.draw(st.booleans())
    }
    query = {
        name: value if isinstance(value, str | int | float) else json.dumps(value) for name, value in query.items()
    }
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    values = likely(body, whole, data) if body else data.draw(st.binary(max_size=200))
    content = values if isinstance(values, bytes) else json.dumps(values).encode()
    headers = {
        "content-type": data.draw(st.sampled_from(["application/json", "text/plain", "application/octet-stream"]))
    }
    answer = client.request(method.upper(), address, params=query, content=content, headers=headers)
    assert answer.status_code < 500, (method, address, query, content, answer.text)
    if answer.status_code >= 400 and answer.content:
        assert answer.json()["error"]


RATER = st.dictionaries(st.sampled_from(["key", "clip", "emotions", "version", "seconds", "kind", "other"]), VALUE)


@pytest.mark.slow
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(values=RATER)
def test_no_vote_fails_inside_the_server(client: Any, values: dict[str, Any]) -> None:
    if not client.get("/api/v1/studies").json()["studies"]:
        define(client, several=True)
    told = client.get("/api/v1/studies/pilot").json()["raters"]
    link = told[0]["link"] if told else links(client, "Ann")[0]
    whole = {"key": "a key of its own", "clip": 1, "version": 1, "emotions": {"sad": None}} | values
    answer = client.post(f"{link}/votes", json=whole)
    assert answer.status_code < 500, answer.text


@pytest.mark.parametrize(
    ("method", "path", "taken"),
    [
        ("TRACE", "health", "GET"), ("PUT", "studies", "GET, POST"), ("GET", "films/x/clips", "POST"),
        ("OPTIONS", "films/x", "DELETE, GET"),
    ],
)  # fmt: skip
def test_a_method_that_an_address_does_not_take_is_told_with_those_that_it_takes(
    client: Any, method: str, path: str, taken: str
) -> None:
    answer = client.request(method, f"/api/v1/{path}")
    assert answer.status_code == 405 and answer.json()["error"] and answer.headers["allow"] == taken


def test_every_status_of_a_refusal_is_documented(client: Any) -> None:
    sources = "".join(path.read_text() for path in (ROOT / "src" / "dfer" / "studio").glob("*.py"))
    raised = set(re.findall(r"RefusedError\((?:[^()]|\([^()]*\))*?\b([45]\d\d)\b,?\s*\)", sources))
    assert {"400", "401", "403", "404", "409", "413", "429"} <= raised
    # 410 is told to raters alone, whose addresses are not in the document
    for path, methods in client.get("/api/v1/openapi.json").json()["paths"].items():
        for method, told in methods.items():
            assert raised - {"410"} <= set(told["responses"]), f"{method} {path}"
