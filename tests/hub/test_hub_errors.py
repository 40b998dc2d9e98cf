# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with the Hub is said in one sentence, with what helps."""

import types

import pytest
from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled

from paumer_hf.hub.hub_errors import describe_hub_error


class AnsweredError(Exception):
    """Stands in for HfHubHTTPError, whose constructor differs between versions of the client."""

    def __init__(self, status, said):
        super().__init__(f"{status} Client Error\n\n{said}")
        self.response = types.SimpleNamespace(status_code=status)
        self.server_message = said


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (AnsweredError(401, "Invalid token."), "does not accept the token (HTTP 401: Invalid token); log in"),
        (AnsweredError(403, "Read only."), "must not write to a/b (HTTP 403: Read only); take one"),
        (AnsweredError(403, "Private storage is used up."), "has no room for the files (HTTP 403"),
        (AnsweredError(404, "Repository not found"), "has no repository a/b that this token can see"),
        (AnsweredError(412, "A commit has happened"), "changed meanwhile"),
        (AnsweredError(413, "Too large"), "has no room for the files (HTTP 413: Too large)"),
        (AnsweredError(507, "Full"), "has no room for the files (HTTP 507: Full)"),
        (AnsweredError(400, "bad card"), "refuses the content (HTTP 400: bad card)"),
        (AnsweredError(503, "later"), "The Hub failed (HTTP 503: later)"),
        (OfflineModeIsEnabled("x"), "unset HF_HUB_OFFLINE"),
        (LocalTokenNotFoundError("x"), "There is no token for the Hub"),
        (HFValidationError("Repo id must"), "'a/b' is no name of a repository"),
        (ConnectionError("Server disconnected"), "The connection to the Hub broke (ConnectionError: Server disc"),
        (RuntimeError("odd"), "Publishing a/b failed (RuntimeError: odd)"),
    ],
)
def test_each_error(error, message):
    said = describe_hub_error(error, "a/b")
    assert message in said
    assert "\n" not in said
    assert said.endswith(".")


def test_the_cause_is_found_behind_the_error_that_hides_it():
    hidden = RuntimeError("Error while uploading 'model.safetensors' to the Hub.")
    hidden.__cause__ = AnsweredError(507, "Full")
    assert "no room" in describe_hub_error(hidden, "a/b")
