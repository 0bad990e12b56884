"""The site's first page is README, and what is not in ``docs/`` (examples, the changelog) is shown as code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


def on_files(files: Files, config: Any) -> Files:
    """Adds README and the changelog as pages."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=readme.replace("](docs/", "](")))
    files.append(File.generated(config, "changelog.md", content=changelog.replace("](docs/", "](")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links to README and the changelog lead to their pages; links to files of the repository become their names."""
    markdown = re.sub(r"\]\((?:\.\./)?README\.md(#[^)]*)?\)", r"](index.md\1)", markdown)
    markdown = re.sub(r"\]\((?:\.\./)?CHANGELOG\.md\)", "](changelog.md)", markdown)
    return re.sub(r"\[([^\]]*)\]\((?:\.\./)?((?:examples|benchmarks|src)/[^)]*)\)", r"\1 (`\2`)", markdown)
