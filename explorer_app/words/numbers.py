"""Numbers as short text. Rounded for reading, never to zero: a value that is not 0 does not read as 0."""

import math

from explorer_app.words.text import tr


def short_number(value: float, digits: int = 3) -> str:
    """`digits` significant digits in as few characters as honest: 0.0312, 12.5, 3e-7, −∞, NaN."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        rounded = f"{value:.{digits}g}"
        text = f"{float(rounded):.10f}".rstrip("0").rstrip(".") if "e" in rounded else rounded
    else:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def percent(probability: float) -> str:
    """62.1 %, 0.04 %, < 0.01 %; 0 % is nothing at all. What is no number is no share: NaN."""
    share = 100 * probability
    if not math.isfinite(share):
        return short_number(share)
    if share == 0:
        return tr("0 %")
    if share < 0.01:
        return tr("< 0.01 %")
    return f"{share:.1f} %" if share >= 0.1 else f"{short_number(share, 2)} %"
