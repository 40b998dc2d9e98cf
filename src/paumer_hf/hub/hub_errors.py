# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong between this machine and the Hub, in one sentence each."""

from collections.abc import Iterator

from huggingface_hub.errors import (
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)


_QUOTA_WORDS = ("quota", "storage", "limit")
_CONNECTION_WORDS = ("connect", "timeout", "timed out", "disconnected", "network", "protocol", "read error", "closed")

AGAIN = "What is on the page is whole; run the same command again."


def describe_hub_error(error: BaseException, repo_id: str) -> str:
    """Say in one sentence what happened and what helps.

    Args:
        error: What the Hub's client raised.
        repo_id: The repository.
    """
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, OfflineModeIsEnabled):
            return "Offline mode is set; unset HF_HUB_OFFLINE to reach the Hub."
        if isinstance(cause, LocalTokenNotFoundError):
            return "There is no token for the Hub; log in with `hf auth login` or set HF_TOKEN."
        if isinstance(cause, HFValidationError):
            return f"{repo_id!r} is no name of a repository ({one_line(cause)}); write OWNER/NAME."
    for cause in causes:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status is not None:
            return _describe_status(status, cause, repo_id)
    for cause in causes:
        words = f"{type(cause).__name__} {cause}".lower()
        if any(word in words for word in _CONNECTION_WORDS):
            return f"The connection to the Hub broke ({type(cause).__name__}: {one_line(cause)}). {AGAIN}"
    return f"Publishing {repo_id} failed ({type(error).__name__}: {one_line(error)}). {AGAIN}"


def end_sentence(text: str) -> str:
    """Text that ends with one full stop, whether it had any."""
    return f"{text.rstrip(' .')}."


def one_line(error: BaseException) -> str:
    """The message of an error without its line breaks."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _describe_status(status: int, error: BaseException, repo_id: str) -> str:
    said = getattr(error, "server_message", None) or one_line(error)
    said = " ".join(said.split()).rstrip(".")
    if isinstance(error, RevisionNotFoundError):
        return f"{repo_id} has no such branch ({said}); name one that it has."
    if status in (413, 507) or (status == 403 and any(word in said.lower() for word in _QUOTA_WORDS)):
        return f"The Hub has no room for the files (HTTP {status}: {said}); free storage of the account. {AGAIN}"
    if status == 401:
        return f"The Hub does not accept the token (HTTP 401: {said}); log in with `hf auth login` or set HF_TOKEN."
    if status == 403:
        return f"The token must not write to {repo_id} (HTTP 403: {said}); take one with write access to it."
    if status == 404:
        return f"The Hub has no repository {repo_id} that this token can see (HTTP 404: {said}); correct its name."
    if status == 412:
        return f"The page of {repo_id} changed meanwhile (HTTP 412: {said}); run the same command again."
    if status in (400, 422):
        return f"The Hub refuses the content (HTTP {status}: {said}); correct it and run the same command again."
    return f"The Hub failed (HTTP {status}: {said}). {AGAIN}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


__all__ = ["AGAIN", "describe_hub_error", "end_sentence", "one_line"]
