"""Plots with logarithmic axes, as SVG, without a library."""

import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 420, 70, 190, 44, 50
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df")


def decades(values):
    low = math.floor(math.log10(min(values)))
    high = math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def short(number):
    for limit, sign in ((1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:g}{sign}"
    return f"{number:g}"


def plot(title, x_name, lines):
    """`lines`: name -> (unit, [(x, y)]). Both axes are logarithmic; a dashed line shows what is linear."""
    points = [p for _, series in lines.values() for p in series]
    x0, x1 = decades([x for x, _ in points])
    y0, y1 = decades([max(y, 1e-6) for _, y in points])
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    at = lambda x, y: (LEFT + (math.log10(x) - x0) / (x1 - x0) * wide,
                       TOP + high - (math.log10(max(y, 1e-6)) - y0) / (y1 - y0) * high)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15">{title}</text>',
    ]
    for decade in range(x0, x1 + 1):
        x, _ = at(10.0 ** decade, 10.0 ** y0)
        out.append(f'<path d="M{x:.1f} {TOP}v{high}" stroke="#ddd"/>')
        out.append(f'<text x="{x:.1f}" y="{TOP + high + 18}" text-anchor="middle">{short(10.0 ** decade)}</text>')
    for decade in range(y0, y1 + 1):
        _, y = at(10.0 ** x0, 10.0 ** decade)
        out.append(f'<path d="M{LEFT} {y:.1f}h{wide}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{short(10.0 ** decade)}</text>')
    out.append(f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 10}" text-anchor="middle">{x_name}</text>')
    for number, (name, (unit, series)) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{'ML'[n > 0]}{x:.1f} {y:.1f}" for n, (x, y) in enumerate(at(*p) for p in series))
        out.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for point in series:
            x, y = at(*point)
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
        y = TOP + 14 + number * 20
        out.append(f'<path d="M{WIDTH - RIGHT + 12} {y - 4}h18" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<text x="{WIDTH - RIGHT + 36}" y="{y}">{name}, {unit}</text>')
    out.extend(slope(at, (x0, x1), (y0, y1), TOP + 14 + len(lines) * 20))
    out.append("</svg>")
    return "\n".join(out) + "\n"


def slope(at, xs, ys, legend):
    """What is linear, through the lower left corner, as far as it is in the picture."""
    decades_shown = min(xs[1] - xs[0], ys[1] - ys[0])
    (ax, ay), (bx, by) = at(10.0 ** xs[0], 10.0 ** ys[0]), at(10.0 ** (xs[0] + decades_shown), 10.0 ** (ys[0] + decades_shown))
    line = f'<path d="M{ax:.1f} {ay:.1f}L{bx:.1f} {by:.1f}" stroke="#888" stroke-dasharray="5 4"/>'
    key = f'<path d="M{WIDTH - RIGHT + 12} {legend - 4}h18" stroke="#888" stroke-dasharray="5 4"/>'
    return [line, key, f'<text x="{WIDTH - RIGHT + 36}" y="{legend}">linear</text>']
