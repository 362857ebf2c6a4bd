"""The colours can be read, are told apart, and mean the same everywhere; the fonts come with the product."""

from collections.abc import Callable
from dataclasses import fields, replace
from itertools import combinations

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QColor, QFont, QFontInfo, QFontMetricsF, QPalette, QRawFont
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSlider,
    QSpinBox,
    QToolButton,
    QToolTip,
    QWidget,
)
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.theme import DARK, LIGHT, Theme
from model_core.api.files.assets import asset

pytestmark = pytest.mark.unit

BOTH = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.name)
LINE = 0.75  # of its colour, in the graph

# G. Machado, M. Oliveira and L. Fernandes, "A physiologically-based model for simulation of color vision
# deficiency" (2009), severity 1, on linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def srgb(colour: str) -> np.ndarray:
    named = QColor(colour)
    return np.array([named.redF(), named.greenF(), named.blueF()])


def as_seen(colour: str, deficiency: str) -> np.ndarray:
    """The colour in OKLab as seen with a colour vision deficiency."""
    rgb = srgb(colour)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = (DEFICIENCIES[deficiency] @ linear).clip(0, 1)
    return theme.oklab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055))


def test_contrast_of_black_and_white_is_21_and_of_a_colour_with_itself_1() -> None:
    assert theme.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert theme.contrast("#336699", "#336699") == pytest.approx(1)


@BOTH
def test_everything_that_must_be_told_apart_is_far_enough_apart(colours: Theme) -> None:
    near = {
        (one, other): found
        for ones, others, least in theme.PAIRS
        for one in ones
        for other in others
        if (found := theme.contrast(getattr(colours, one), getattr(colours, other))) < least
    }
    assert not near


def test_every_colour_of_the_theme_has_its_place_in_the_pairs() -> None:
    named = {name for ones, others, _ in theme.PAIRS for name in (*ones, *others)}
    assert {field.name for field in fields(Theme)} - named == {"name", "border"}


def over(colour: str, ground: str, share: float) -> str:
    """A colour of which so much lies over a ground."""
    mixed = np.rint(255 * (srgb(colour) * share + srgb(ground) * (1 - share))).astype(np.uint8)
    return theme.hex_of(mixed)


@BOTH
@pytest.mark.parametrize("ground", ["panel", "window", "raised"])
def test_a_name_is_read_on_the_tint_of_its_own_role(colours: Theme, ground: str) -> None:
    for role in theme.ROLES:
        colour = getattr(colours, role)
        assert theme.contrast(colour, over(colour, getattr(colours, ground), theme.TINT)) >= theme.TEXT, role


@BOTH
def test_a_line_of_the_graph_is_seen(colours: Theme) -> None:
    for role in ("muted", *theme.ROLES):
        line = over(getattr(colours, role), colours.panel, LINE)
        assert theme.contrast(line, colours.panel) >= theme.GRAPHIC, role


@BOTH
@pytest.mark.parametrize("name", ["sequential", "diverging", "cyclic"])
def test_a_number_is_read_on_every_colour_of_a_map(colours: Theme, name: str) -> None:
    for colour in getattr(colours, name):
        assert theme.contrast(theme.ink_on(colour), theme.hex_of(colour)) >= theme.TEXT


@BOTH
def test_a_mark_in_a_colour_of_a_map_is_seen(colours: Theme) -> None:
    assert len(colours.marks) > 100
    for lut, grounds in ((colours.marks, theme.GROUNDS), (colours.cyclic, ("panel",))):
        for ground in grounds:
            least = min(theme.contrast(theme.hex_of(colour), getattr(colours, ground)) for colour in lut)
            assert least >= theme.GRAPHIC, ground


OUTLINES: dict[str, Callable[[], QWidget]] = {
    "field": QLineEdit,
    "chooser": QComboBox,
    "number": QSpinBox,
    "button": lambda: QPushButton("Start"),
    "box": lambda: QCheckBox("Follow"),
    "slider": lambda: QSlider(Qt.Orientation.Horizontal),
    "progress": QProgressBar,
}


@BOTH
@pytest.mark.parametrize("kind", OUTLINES)
def test_the_outline_of_what_can_be_used_is_seen(
    colours: Theme, kind: str, qapp: QApplication, qtbot: QtBot
) -> None:
    theme.apply(qapp, colours.name)
    ground = QWidget()
    qtbot.addWidget(ground)
    widget = OUTLINES[kind]()
    widget.setParent(ground)
    widget.setGeometry(10, 10, 120, 30)
    ground.resize(140, 50)
    ground.show()
    ground.setFocus()
    picture = ground.grab().toImage()
    middle = 18 if kind == "box" else 50
    seen = [picture.pixelColor(middle, y).name() for y in range(50)]
    assert max(theme.contrast(colour, colours.window) for colour in seen) >= theme.GRAPHIC
    if kind != "box":
        assert max(theme.contrast(colour, colours.panel) for colour in seen) >= theme.GRAPHIC


@BOTH
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_query_key_value_output_and_accent_stay_apart_under_every_colour_vision(
    colours: Theme, deficiency: str
) -> None:
    roles = ("query", "key", "value", "output", "accent")
    for one, other in combinations(roles, 2):
        apart = as_seen(getattr(colours, one), deficiency) - as_seen(getattr(colours, other), deficiency)
        assert np.linalg.norm(apart) > 0.06, (one, other)  # 0.02 is just noticeable side by side


@BOTH
def test_zero_has_the_colour_of_the_panel_in_both_maps(colours: Theme) -> None:
    panel = np.rint(srgb(colours.panel) * 255)
    np.testing.assert_array_equal(colours.sequential[0], panel)
    np.testing.assert_array_equal(colours.diverging[127], panel)
    np.testing.assert_array_equal(colours.diverging[128], panel)


@BOTH
def test_the_sequential_map_changes_lightness_in_one_direction_in_even_steps(colours: Theme) -> None:
    assert colours.sequential.shape == (256, 3)
    assert colours.sequential.dtype == np.uint8
    lab = theme.oklab(colours.sequential / 255)
    rise = np.diff(lab[:, 0]) * (1 if colours.dark else -1)
    assert rise.min() > -1e-3  # a step of one byte in one channel
    steps = np.linalg.norm(np.diff(lab[::8], axis=0), axis=1)
    assert steps.max() < 1.25 * steps.min()


@BOTH
def test_equal_distances_from_zero_are_about_equally_light_in_the_diverging_map(colours: Theme) -> None:
    lab = theme.oklab(colours.diverging / 255)
    np.testing.assert_allclose(lab[:128, 0][::-1], lab[128:, 0], atol=0.12)


def test_both_themes_name_the_same_colours() -> None:
    for field in fields(Theme):
        if field.name != "name":
            assert QColor(getattr(LIGHT, field.name)).isValid()
            assert QColor(getattr(DARK, field.name)).isValid()


def test_a_theme_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        LIGHT.query = "#000000"  # type: ignore[misc]
    assert replace(LIGHT, query="#000000") != LIGHT


def test_applying_a_scheme_colours_the_application_and_announces_it(qapp: QApplication, qtbot: QtBot) -> None:
    with qtbot.waitSignal(theme.notifier.changed) as announced:
        theme.apply(qapp, "dark")
    assert announced.args == [DARK]
    assert theme.current() is DARK
    assert qapp.palette().color(QPalette.ColorRole.Window) == QColor(DARK.window)
    assert QToolTip.palette().color(QPalette.ColorRole.ToolTipBase) == QColor(DARK.raised)
    theme.apply(qapp, "light")
    assert theme.current() is LIGHT
    assert qapp.palette().color(QPalette.ColorRole.Base) == QColor(LIGHT.panel)


def test_the_theme_follows_the_system_only_when_asked_to(qapp: QApplication) -> None:
    hints = qapp.styleHints()
    theme.apply(qapp, None)
    hints.colorSchemeChanged.emit(Qt.ColorScheme.Dark)
    assert theme.current() is DARK
    hints.colorSchemeChanged.emit(Qt.ColorScheme.Light)
    assert theme.current() is LIGHT
    theme.apply(qapp, "light")
    hints.colorSchemeChanged.emit(Qt.ColorScheme.Dark)
    assert theme.current() is LIGHT


def test_the_bundled_fonts_are_the_ones_in_use(qapp: QApplication) -> None:
    assert {theme.UI_FAMILY, theme.MONO_FAMILY} <= set(theme.load_fonts())
    assert QFontInfo(qapp.font()).family() == theme.UI_FAMILY
    assert QFontInfo(theme.mono_font()).family() == theme.MONO_FAMILY
    metrics = QFontMetricsF(theme.mono_font())
    assert metrics.horizontalAdvance("i") == metrics.horizontalAdvance("W")


@pytest.mark.parametrize("name", ["Inter-Regular.ttf", "Inter-SemiBold.ttf", "DejaVuSansMono.ttf"])
def test_the_fonts_draw_what_tokens_are_made_of(name: str) -> None:
    font = QRawFont(str(asset("fonts", name)), 12)
    for sign in "aZ09·−∞×←→↑↓éßñжЖλ":
        assert font.supportsCharacter(ord(sign)), sign


def test_the_mono_font_draws_every_sign_that_stands_for_a_blank() -> None:
    font = QRawFont(str(asset("fonts", "DejaVuSansMono.ttf")), 12)
    for sign in "·⏎⇥⇤⍽":
        assert font.supportsCharacter(ord(sign)), sign


def test_each_font_comes_with_its_licence_and_all_stay_below_2_mb() -> None:
    folder = asset("fonts")
    assert "SIL OPEN FONT LICENSE" in (folder / "Inter-LICENSE.txt").read_text("utf-8").upper()
    assert "Bitstream" in (folder / "DejaVu-LICENSE.txt").read_text("utf-8")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000


def test_semi_bold_is_a_face_of_its_own(qapp: QApplication) -> None:
    font = QFont(qapp.font())
    plain = QFontMetricsF(font).horizontalAdvance("attention")
    font.setWeight(QFont.Weight.DemiBold)
    assert QFontMetricsF(font).horizontalAdvance("attention") > plain


def test_a_change_of_the_theme_restyles_no_widget_and_colours_each_once(
    qtbot: QtBot, qapp: QApplication
) -> None:
    class Counter(QLabel):
        restyled = coloured = 0

        def changeEvent(self, event: QEvent) -> None:
            self.restyled += event.type() == QEvent.Type.StyleChange
            self.coloured += event.type() == QEvent.Type.PaletteChange
            super().changeEvent(event)

    top = inner = QWidget()
    qtbot.addWidget(top)
    for _ in range(6):
        inner = QWidget(inner)
    label = Counter("text", inner)
    top.show()
    label.restyled = label.coloured = 0
    theme.apply(qapp, "dark")
    assert (label.restyled, label.coloured) == (0, 1)
    assert label.palette().color(QPalette.ColorRole.WindowText).name() == theme.DARK.text


@pytest.mark.parametrize("colours", [DARK, LIGHT], ids=["dark", "light"])
def test_tooltips_ticks_and_pressed_buttons_wear_the_theme(
    qtbot: QtBot, qapp: QApplication, colours: Theme
) -> None:
    box, button = QCheckBox(), QToolButton()
    for widget in (box, button):
        qtbot.addWidget(widget)
        widget.setCheckable(True)
        widget.setChecked(True)
        widget.resize(60, 30)
        widget.show()
    theme.apply(qapp, colours.name)
    QToolTip.showText(QPoint(5, 5), "a tooltip", button)
    (tip,) = (widget for widget in qapp.topLevelWidgets() if widget.inherits("QTipLabel"))
    picture = tip.grab().toImage()
    assert picture.pixelColor(3, picture.height() // 2).name() == colours.raised
    assert picture.pixelColor(picture.width() // 2, 0).name() == colours.border
    tip.close()
    seen = {
        widget: {picture.pixelColor(x, y).name() for x in range(60) for y in range(30)}
        for widget in (box, button)
        for picture in [widget.grab().toImage()]
    }
    assert colours.panel in seen[box]
    assert colours.accent in seen[button]
