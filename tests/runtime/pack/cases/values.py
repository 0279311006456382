"""Golden cases of the nodes that hold, compute, compare and choose single values."""

from __future__ import annotations

from typing import Any

from tests.runtime.pack.fixtures import fixture

RATIOS = (
    "1:1 (Square)|2:3 (Portrait Photo)|3:2 (Photo)|3:4 (Portrait Standard)|4:3 (Standard)|9:16 (Portrait Widescreen)|"
)
RATIOS += "16:9 (Widescreen)|21:9 (Ultrawide)"
TRUTHS = [
    "true",
    "false",
    "zero",
    "int",
    "float",
    "text",
    "empty_text",
    "list",
    "empty_list",
    "none",
    "dict",
    "empty_dict",
]
EXPRESSIONS = """
a + b
a - b * 2
a / b
a // b
a % b
a ** b
-a
+a
a > b
a <= b
a == b
a != b
not a
a and b
a or b
a < b < 10
a if a > b else b
min(a, b)
max(a, b, 3)
abs(-a)
round(a / b)
round(a / b, 2)
sqrt(a)
ceil(a / b)
floor(a / b)
int(a / b)
float(a)
pow(a, b)
sum([a, b])
log(a)
log(a, 2)
log2(a)
log10(a)
exp(b)
sin(a)
cos(a)
tan(a)
pi
e
a & b
a | b
a ^ b
a << 2
a >> 1
~a
(a, b)
[a, b]
"x"
a in [1, 7]
True
None
1e400
10 ** 20
a / 0
a % 0
a // 0
zzz
a.real
a[0]
open("x")
lambda: 1
__import__("os")
[x for x in [1, 2]]
9 ** 9 ** 9
a +
1.0
7.999999
-2.5
-7.5 // 1
2 ** 0.5
(-8) ** 0.5
1_000
0x10
a; b
a = 1
trunc(2.7)
sign(-3)
clamp(a, 0, 3)
random()
asin(0.5)
atan2(a, b)
degrees(a)
radians(a)
hypot(a, b)
bool(a)
str(a)
len([1, 2])
fmod(a, b)
gcd(14, 21)
factorial(5)
isnan(a)
inf
nan
tau
sinh(1)
cosh(1)
tanh(1)
acos(0.5)
atan(1)
cbrt(27)
mod(a, b)
rand(5)
a if 0 else c
a + c
c
lerp(a, b, 0.5)
"ab" * 3
a * "x"
{1: 2}[1]
True + True
1 == 1.0
a is b
a @ b
1j
f"{a}"
10 ** 400
10 ** 400 / 3
1e308 * 10
-0.0
3 // 2 * 1.5
log(0)
sqrt(-1)
int(1e30)
2 ** 63
2 ** 1000
round(2.5)
round(-a / b, 1)
int("12")
""".strip().splitlines()


def computed(expression: str, **values: Any) -> dict[str, Any]:
    return {"expression": expression, **{f"values.{name}": value for name, value in values.items()}}


CASES = {
    "PrimitiveInt": [{"value": value} for value in (5, -9223372036854775807, 3.7, "12", True)],
    "PrimitiveFloat": [{"value": value} for value in (0.1, -3, "1.5", 1e18)],
    "PrimitiveString": [{"value": value} for value in ("x", "", 5, 1.5)],
    "PrimitiveStringMultiline": [{"value": "a\nb"}],
    "PrimitiveBoolean": [{"value": value} for value in (True, False, 1, "")],
    "PrimitiveBoundingBox": [{"x": 1, "y": 2, "width": 3, "height": 4}],
    "SeedNode": [{"seed": 0}, {"seed": 2**63 - 1}],
    "CustomCombo": [
        {"choice": "b", "index": 1, "option1": "a", "option2": "b", "option3": ""},
        {"choice": "x"},
        {"choice": "c", "index": "2"},
    ],
    "ResolutionSelector": [
        *({"aspect_ratio": ratio, "megapixels": 1.0, "multiple": 8} for ratio in RATIOS.split("|")),
        *({"aspect_ratio": ratio, "megapixels": 0.3, "multiple": 64} for ratio in RATIOS.split("|")),
        *({"aspect_ratio": ratio, "megapixels": 2.5, "multiple": 28} for ratio in RATIOS.split("|")),
        {"aspect_ratio": "21:9 (Ultrawide)", "megapixels": 0.1, "multiple": 128},
    ],
    "ColorToRGBInt": [
        {"color": color}
        for color in (
            "#ffffff",
            "#0a9299",
            "#0A9299",
            "#ff000080",
            "#abc",
            "0a9299",
            "red",
            "",
            "#00000000",
            "#abcd",
            "#gggggg",
        )
    ],
    "ComfyNumberConvert": [
        *(
            {"value": value}
            for value in (5, 2.75, -2.75, True, "12", "1.5", " 7 ", "1e3", "abc", "", "0x10", "inf", "nan")
        ),
        {"value": fixture("float")},
        {"value": "99999999999999999999"},
        {"value": 1e300},
    ],
    "ComfyMathExpression": [
        *(computed(expression, a=7, b=2) for expression in EXPRESSIONS),
        computed(" ", a=7, b=2),
        *(
            computed(expression, a=7, b=2, c=-1.5)
            for expression in ("sum(values)", "max(values)", "sum(a, b)", "sum(a)", "values[1]", "values[5]", "values")
        ),
        computed("7 ** 5000 % 13", a=1),
        computed("min(values) if a in values else 0", a=3, b=4),
        computed("a + b", a=2.5, b=True),
        computed("a & b", a=6, b=3),
        computed("a * 2", a=True),
        computed("a and b", a=0, b=5),
        computed("a + b", a=1),
        computed("a", a=fixture("float")),
        computed("a == b", a=1, b=1.0),
        computed("a", a=3.0),
        computed("a", a=2**70),
        computed("a + 0.5", a=fixture("negative")),
    ],
    "ComfySwitchNode": [
        {"switch": True, "on_false": 1, "on_true": 2},
        {"switch": False, "on_false": 1, "on_true": 2},
        {"switch": fixture("true"), "on_false": fixture("rgb"), "on_true": fixture("tall")},
        {"switch": fixture("false"), "on_false": fixture("rgb"), "on_true": fixture("tall")},
    ],
    "ComfyNotNode": [{"value": fixture(name)} for name in (*TRUTHS, "rgb", "latent")],
    "ComfyAndNode": [
        *({"values.value0": fixture(one), "values.value1": fixture("int")} for one in TRUTHS),
        {"values.value0": True, "values.value1": True, "values.value2": 0},
        {"values.value0": 3},
        {"values.value0": fixture("rgb"), "values.value1": True},
    ],
    "ComfyOrNode": [
        *({"values.value0": fixture(one), "values.value1": fixture("zero")} for one in TRUTHS),
        {"values.value0": False, "values.value1": "", "values.value2": "x"},
        {"values.value0": 0},
    ],
    "KarrasScheduler": [
        {"steps": 10, "sigma_max": 14.614642, "sigma_min": 0.0291675, "rho": 7.0},
        {"steps": 1, "sigma_max": 5.0, "sigma_min": 1.0, "rho": 1.0},
        {"steps": 5, "sigma_max": 5000.0, "sigma_min": 0.0, "rho": 100.0},
    ],
    "ExponentialScheduler": [
        {"steps": 10, "sigma_max": 14.614642, "sigma_min": 0.0291675},
        {"steps": 1, "sigma_max": 5.0, "sigma_min": 1.0},
    ],
    "PolyexponentialScheduler": [
        {"steps": 10, "sigma_max": 14.614642, "sigma_min": 0.0291675, "rho": 1.0},
        {"steps": 7, "sigma_max": 100.0, "sigma_min": 0.5, "rho": 3.0},
        {"steps": 1, "sigma_max": 5.0, "sigma_min": 1.0, "rho": 0.0},
    ],
    "VPScheduler": [
        {"steps": 10, "beta_d": 19.9, "beta_min": 0.1, "eps_s": 0.001},
        {"steps": 3, "beta_d": 5.0, "beta_min": 1.0, "eps_s": 0.5},
        {"steps": 1, "beta_d": 5.0, "beta_min": 1.0, "eps_s": 0.5},
    ],
    "SplitSigmas": [{"sigmas": fixture("sigmas"), "step": step} for step in (0, 3, 6, 50)],
    "SplitSigmasDenoise": [
        {"sigmas": fixture("sigmas"), "denoise": denoise} for denoise in (0.0, 0.1, 0.25, 0.5, 0.75, 0.92, 1.0)
    ],
    "FlipSigmas": [{"sigmas": fixture(name)} for name in ("sigmas", "sigmas_one", "sigmas_none")]
    + [{"sigmas": {"$node": "FlipSigmas", "$slot": 0, "$inputs": {"sigmas": fixture("sigmas")}}}],
    "SetFirstSigma": [{"sigmas": fixture(name), "sigma": 136.0} for name in ("sigmas", "sigmas_one")],
    "ExtendIntermediateSigmas": [
        {"sigmas": fixture("sigmas"), "steps": steps, "start_at_sigma": start, "end_at_sigma": end, "spacing": spacing}
        for spacing in ("linear", "cosine", "sine")
        for steps, start, end in ((2, -1.0, 12.0), (1, 8.0, 0.5), (3, 3.25, 0.0), (4, -1.0, 0.75))
    ],
    "ManualSigmas": [
        {"sigmas": text} for text in ("1, 0.5", "14.6;7,3 0.0", "", "abc", "-1 2e-3 .5 +4", "1e1 x 3.", "1,,2", "٣")
    ],
}
