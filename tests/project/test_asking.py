"""docs/asking.md says what the API's description says."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "asking.md").read_text(encoding="utf-8")
OPENAPI = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))
PARAMETERS = {one["name"]: one["schema"] for one in OPENAPI["paths"]["/v1/sessions"]["get"]["parameters"]}


def code(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_parameters() -> None:
    """The tables name every parameter of GET /v1/sessions, and no other."""
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    [columns] = re.findall(r"^Columns of numbers: (.*?)\. A", PAGE, re.MULTILINE | re.DOTALL)
    documented = [
        name.replace("<column>", column)
        for row in rows
        for name in code(row)
        for column in (code(columns) if "<column>" in name else [""])
    ]
    assert sorted(documented) == sorted(PARAMETERS)


def test_orders() -> None:
    """The page names every column that the list can be sorted by."""
    [row] = re.findall(r"^\| `sort_by` \| (.*) \|$", PAGE, re.MULTILINE)
    assert sorted(code(row)) == sorted(OPENAPI["components"]["schemas"]["Order"]["enum"])
