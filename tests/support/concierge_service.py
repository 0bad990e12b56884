"""The example service with a scripted LLM that repeats every code it was given to read, for Gunicorn to load."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "crews" / "concierge_api"))

from app import create_app

from .crews import ScriptedLLM, final


def repeat_codes(prompt: str) -> str:
    return final("I know " + " ".join(dict.fromkeys(re.findall(r"code-\w+", prompt))))


app = create_app(ScriptedLLM(repeat_codes), collection=os.environ["TEST_COLLECTION"])
