"""What a part hands to `bench/run`: a JSON file with its targets, its tables and what it measured with."""

import json
import statistics


def spread(values, digits=2):
    """Median (least to most)."""
    if not values:
        return "-"
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(head, rows):
    """A table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


class Part:
    """The results of one part, by the number of the target."""

    def __init__(self, name):
        self.name = name
        self.targets = []
        self.sections = []
        self.versions = {}
        self.knobs = []

    def target(self, number, what, got, want, at_most=True, digits=2, unit=""):
        """Notes a figure, or the ratios of all rounds, and what it should be. The median decides."""
        values = got if isinstance(got, list) else [got]
        middle = statistics.median(values) if values else None
        met = middle is not None and (middle <= want if at_most else middle >= want)
        shown = spread(values, digits) if len(values) > 1 else f"{values[0]:.{digits}f}" if values else "not measured"
        limit = f"at {'most' if at_most else 'least'} {want:g}{unit}"
        self.targets.append({"number": number, "what": what, "want": limit, "got": shown + (unit if values else ""), "met": met})

    def missing(self, number, what, why):
        """Notes that something could not be measured: as bad as missed."""
        self.targets.append({"number": number, "what": what, "want": "measured", "got": why, "met": False})

    def section(self, order, title, text):
        """A part of the page; `order` is the number of the target, and places it."""
        self.sections.append({"order": order, "title": title, "text": text})

    def rows(self, order, title, figures, base=None, note=""):
        """A table of rows, with the ratio of each to the row `base`."""
        lines = []
        first = figures.get(base) if base else None
        for row in figures.values():
            beside = "-"
            if first and row is not first:
                beside = spread([a / b for a, b in zip(row.wall, first.wall)])
            memory = "-" if row.memory is None else f"{row.memory:.0f}"
            lines.append([row.name, spread(row.wall), beside, spread(row.cpu), memory, len(row.wall)])
        head = ["", "wall, s", f"times {base}" if base else "ratio", "CPU, s", "peak memory, MB", "rounds"]
        text = table(head, lines)
        self.section(order, title, f"{note}\n\n{text}" if note else text)

    def write(self, path):
        """Hands it over."""
        with open(path, "w") as file:
            json.dump(vars(self), file, indent=1)
