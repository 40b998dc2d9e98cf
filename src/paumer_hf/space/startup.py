# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What the app checks before it loads a model, which takes long: where the model is, its title, and the port."""

import os
import re
import socket
from pathlib import Path


# Names of folders that tell where a checkpoint stands and not what it is.
_WITHOUT_MEANING = ("best", "last", "model")

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def check_model(name: str, default: str | os.PathLike) -> None:
    """Refuse the path of a folder that is not there; what may be a Hub id is left to the loader.

    Args:
        name: Folder or Hub id.
        default: The folder that is taken when no model is named.

    Raises:
        ValueError: If `name` can only be a path and is no folder.
    """
    path = Path(name)
    if path.is_dir() or (_HUB_ID.fullmatch(name) and not path.exists()):
        return
    finding = "is no folder" if path.exists() else "does not exist"
    raise ValueError(
        f"The folder of the model, {name}, {finding}. Name a folder or Hub id by --model or by the environment "
        f"variable PAUMER_MODEL, or copy a checkpoint to {default}."
    )


def find_title(model: str, default: str | os.PathLike, title: str | None = None) -> str:
    """What the page calls its model.

    Args:
        model: Folder or Hub id.
        default: The folder that is taken when no model is named; where it stands does not tell what it is.
        title: Taken as it is unless it is empty.

    Returns:
        The title; or the Hub id; or the name of the folder, of its parent for a folder called "best", "last" or
        "model"; empty if none of them says what the model is.
    """
    if title:
        return title
    folder = Path(model)
    if not folder.is_dir():
        return model
    # Not `resolve`: "best" and "last" may be links to a folder of a step.
    folder = Path(os.path.abspath(folder))
    if folder == Path(os.path.abspath(default)):
        return ""
    return folder.parent.name if folder.name in _WITHOUT_MEANING else folder.name


def check_port(port: int | None) -> None:
    """Refuse a port that no server can take, or that another one has.

    Args:
        port: Of the server; None leaves the choice to Gradio.

    Raises:
        ValueError: If there is no such port, it is in use, or this user must not take it.
    """
    if port is None:
        return
    if not 1 <= port <= 65_535:
        raise ValueError(f"--port must be from 1 to 65535, but is {port}.")
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that has just ended is no hindrance
        try:
            server.bind(("127.0.0.1", port))
        except OSError as error:
            raise ValueError(
                f"The port {port} cannot be taken ({error.strerror}). Name another one by --port, or leave it out for "
                "the first free one from 7860."
            ) from error


__all__ = ["check_model", "check_port", "find_title"]
