"""What the environment names of live services, read before conftest takes it away from the tests."""

from __future__ import annotations

import os

MEM0_KEY = os.environ.get("MEM0_API_KEY")
