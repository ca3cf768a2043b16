"""Prints the options of a command in groups, as plain text: typer groups them only where it draws boxes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from typer.core import TyperCommand

_OTHERS = "Options"


class GroupedCommand(TyperCommand):
    """A command whose help has a section for each `rich_help_panel` of its options, after the options without one."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the arguments, the options without a group, and the groups in the order of their first options."""
        sections: dict[str, list[tuple[str, str]]] = defaultdict(list, {"Arguments": [], _OTHERS: []})
        for param in self.get_params(ctx):
            if (record := param.get_help_record(ctx)) is not None:
                is_option = param.param_type_name == "option"
                panel = getattr(param, "rich_help_panel", None) or _OTHERS
                sections[panel if is_option else "Arguments"].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
