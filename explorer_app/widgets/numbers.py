"""Numbers as short text. Rounded for reading, never to zero: a value that is not 0 does not read as 0."""

import math


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
