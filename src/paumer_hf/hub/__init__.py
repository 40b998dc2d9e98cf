# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Publishing checkpoints on the Hugging Face Hub, and the model cards of their pages."""

from paumer_hf.hub.hub_page import PageSettings, PushedPage
from paumer_hf.hub.publishing import publish


__all__ = ["PageSettings", "PushedPage", "publish"]
