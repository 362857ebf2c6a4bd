"""What works with a tokenizer of a library, in the process of the tests: without a limit of time or memory."""

import json
from collections.abc import Mapping
from typing import Any

from model_core.text.tokenizer_host import Host


class LocalHost(Host):
    """A host whose requests and answers are those that a pipe would carry."""

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(json.dumps(super().answer(json.loads(json.dumps(request)))))
        return answer
