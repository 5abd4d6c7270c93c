"""Whatever the OpenAPI schema allows, and what it does not, is never answered with a failure of ours."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

ROUTES = [
    ("POST", "/v1/chat/completions", 60),
    ("POST", "/v1/files", 30),
    ("GET", "/v1/files", 5),
    ("GET", "/v1/files/{file_id}", 15),
    ("DELETE", "/v1/files/{file_id}", 15),
    ("GET", "/v1/models", 5),
    ("GET", "/v1/models/{model_id}", 15),
    ("GET", "/healthz", 5),
    ("GET", "/metrics", 5),
]


@pytest.fixture(scope="module")
def described(small):
    return schemathesis.openapi.from_url(f"{small.root}/openapi.json")


def test_every_route_is_tried(described):
    known = {(method.upper(), path) for path, methods in described.raw_schema["paths"].items() for method in methods}
    assert known == {(method, path) for method, path, _ in ROUTES}


@pytest.mark.parametrize(("method", "path", "num_examples"), ROUTES, ids=str)
def test_no_request_makes_the_server_fail(described, method, path, num_examples):
    modes = list(GenerationMode) if method == "POST" else [GenerationMode.POSITIVE]  # where nothing can be wrong
    for mode in modes:

        @settings(max_examples=num_examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=described[path][method].as_strategy(generation_mode=mode))
        def attempt(case):
            if isinstance(case.body, dict) and "messages" in case.body:
                # or nearly all would end at a model of another name, and the others would take long
                case.body |= {"model": "endless", "max_tokens": 3}
                case.body.pop("max_completion_tokens", None)
            response = case.call(timeout=60)
            assert response.status_code < 500, response.text

        attempt()
