"""What is to be trained, on what, where to and how: a form that makes the spec of a training."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from model_core.api.errors import InputError
from model_core.api.files.paths import whole
from model_core.api.files.regular_file import is_there
from model_core.api.plain_text import visible
from model_core.api.scene import Scene
from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QWidget,
)

from explorer_app.forms.train_fields import ROWS, TrainFields
from explorer_app.forms.training_paths import folders, from_the_root, unreadable
from explorer_app.state.session import Session
from explorer_app.state.training import (
    MOST_RATE,
    Spec,
    Unfinished,
    is_free,
    unfinished,
)
from explorer_app.widgets.listening import Listening
from explorer_app.widgets.plain import tip
from explorer_app.words.model_words import model_title, short_name
from explorer_app.words.text import tr

FURTHER = re.compile(r"-further(-\d+)?$")  # what was trained further is not called so twice


class TrainForm(TrainFields):
    """Filled in with what the recipe of the chosen model says, or with what a folder's unfinished training says.

    changed  something was filled in, chosen or found
    turned   the person chose another model or folder
    """

    changed = Signal()
    turned = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.data: tuple[str, ...] = session.training.texts
        self.found: Unfinished | None = None
        self._own_folder = True  # proposed here, and not by the person
        self._own_choice = True  # so is what is trained: the model on screen
        self._knows = False  # what can be trained
        self._connect()
        self.show_choices()

    def _connect(self) -> None:
        session = self.session
        self.what.activated.connect(self._choose)
        self.texts.textEdited.connect(lambda _: self.quiet("data"))
        self.texts.editingFinished.connect(self._take_texts)
        self.choose_data.clicked.connect(self._choose_texts)
        self.choose_out.clicked.connect(self._choose_folder)
        self.new_folder.clicked.connect(self._begin_anew)
        self.out.textEdited.connect(self._edit_folder)
        for box in (self.steps, self.batch, self.seed):
            box.valueChanged.connect(self._tell_phases)
        self.lr.textEdited.connect(self._tell_phases)
        listens = Listening(self)
        listens.to(session.greeted, self.show_choices)
        listens.to(session.shown_changed, self.show_choices)

    # What there is to choose from

    @property
    def presets(self) -> Mapping[str, Any]:
        """What the engine knows of each preset; nothing until it has greeted."""
        return dict(self.session.greeting.get("presets", {}))

    @property
    def preset(self) -> str:
        """The chosen preset, "" for the model on screen."""
        return self.what.currentData() or ""

    @property
    def source(self) -> Scene:
        """The model on screen."""
        return self.session.shown

    @property
    def makes_its_own(self) -> bool:
        """Needs it no text?"""
        return bool(self.preset) and self.presets[self.preset]["task"] != "text"

    def show_choices(self, _: Any = None) -> None:
        """Presets, and the model on screen, which is proposed; what was chosen stays chosen.

        A training that was begun last and stopped, be it in another window, is proposed before the model on screen.
        Before the engine has greeted there is nothing to choose from.
        """
        self.setEnabled(bool(self.session.greeting))
        if not self.session.greeting:
            self.say("what", tr("The engine is starting; it knows what can be trained."), wrong=False)
            return
        before, on_screen = self.what.currentText(), self.source.shape[0]
        proposed = on_screen if on_screen in self.presets else ""
        chosen = proposed if self._own_choice and self.found is None else self.preset
        with QSignalBlocker(self.what):
            self.what.clear()
            for name in self.presets:
                self.what.addItem(tr("{name}, from scratch").format(name=name), name)
            self.what.addItem(self._further(), "")
            self.what.setCurrentIndex(max(0, self.what.findData(chosen)))
        with QSignalBlocker(self.device):
            now = self.device.currentText() or self.source.device
            self.device.clear()
            self.device.addItems([device["name"] for device in self.session.greeting.get("devices", [])])
            self.device.setCurrentIndex(max(0, self.device.findText(now)))
        if not self._knows:
            self._knows = True
            self.quiet("what")
            self._offer_stopped()
        if self.what.currentText() != before and self.found is None:
            self._choose_what()

    def _offer_stopped(self) -> None:
        """The folder of the training that was begun last, where it can be continued."""
        folder, spec = next(iter(self.session.training.specs.items()), ("", None))
        if spec and (not spec.preset or spec.preset in self.presets) and unfinished(Path(folder)) is not None:
            self.out.setText(folder)
            self.look()

    def _further(self) -> str:
        """What is trained further: the model on screen, or what the folder's training began from."""
        if self.found is not None and self.found.run.checkpoint:
            return tr("continue training {model}").format(model=short_name(self.found.run.checkpoint))
        return tr("continue training the model on screen: {model}").format(
            model=model_title(self.source.model)
        )

    def _choose(self, _: int) -> None:
        self._own_choice = False
        self._choose_what()
        self.turned.emit()

    def _choose_what(self) -> None:
        """Fill in its recipe, and a folder unless the person has chosen one."""
        self._take_texts()
        self.quiet(*ROWS)
        self._fill_recipe()
        if self._own_folder:
            self.propose()
        else:
            self.look()
        self.show_texts()

    def _fill_recipe(self) -> None:
        """How what is chosen is trained."""
        preset = self.preset
        self._fill(self.presets[preset]["recipe"] if preset else self.session.greeting["fine_tuning"])
        if self.device.currentText() == "cpu":
            self.dtype.setCurrentText("float32")  # a CPU takes about ten times as long with the halves
        self._tell_phases()

    def _tell_phases(self, _: Any = None) -> None:
        """Steps that come after those which can be chosen; of a training in the folder all are told at once."""
        chosen = self.presets[self.preset]["phases"] if self.preset and self.found is None else []
        more = " ".join(
            tr("Then {count} more steps of {rows} rows, as the recipe of {name} says.").format(
                count=f"{phase['steps']:,}", rows=phase["batch"], name=self.preset
            )
            for phase in chosen
        )
        self.say("numbers", more, wrong=False)

    def _fill(self, recipe: Mapping[str, Any]) -> None:
        for name, box in (("steps", self.steps), ("batch", self.batch), ("seed", self.seed)):
            with QSignalBlocker(box):
                box.setValue(min(recipe[name], box.maximum()))  # Qt counts no further
        self.lr.setText(f"{recipe['lr']:g}")
        self.dtype.setCurrentText(recipe["autocast"])

    # Text

    def offer(self, texts: tuple[str, ...]) -> None:
        """Texts to learn from."""
        self.data = texts
        self.quiet("data")
        self.show_texts()

    def show_texts(self) -> None:
        own = self.makes_its_own
        self.texts.setText("" if own else visible(", ".join(self.data), keep=""))
        self.texts.setPlaceholderText(
            tr("it makes its own data")
            if own
            else tr("paths of UTF-8 texts; files can be dropped on the window")
        )
        about = tr("The paths of UTF-8 texts, separated by commas.")
        self.texts.setToolTip(tip("" if own else "\n".join([about, *self.data])))
        self.texts.setEnabled(not own)
        self.choose_data.setEnabled(not own)

    def _take_texts(self) -> None:
        """What was typed as the texts, if anything was: a path, or several separated by commas."""
        if not self.texts.isModified():
            return
        said = self.texts.text().strip()
        paths = [said] if is_there(Path(from_the_root(said))) else said.split(",")
        self.offer(tuple(from_the_root(path.strip()) for path in paths if path.strip()))
        self.say("data", next(filter(None, map(unreadable, self.data)), ""))

    def _choose_texts(self) -> None:
        start = str(Path(self.data[0]).parent) if self.data else ""
        paths, _ = QFileDialog.getOpenFileNames(
            self, tr("Texts to learn from"), start, f"{tr('Texts')} (*.txt *.md);;{tr('All files')} (*)"
        )
        if paths:
            self.offer(tuple(paths))

    # Folder

    def folder(self) -> Path | None:
        """The folder to write to, None where none is said, or none that could be."""
        return self._folder_or_wrong()[0]

    def _folder_or_wrong(self) -> tuple[Path | None, str]:
        """The folder to write to, or what is wrong with what is said of it."""
        if not (said := self.out.text().strip()):
            return None, tr("Say which folder to write to.")
        try:
            return whole(said), ""
        except InputError as error:
            return None, str(error)

    def _spec_of(self, folder: Path | None) -> Spec | None:
        """What was started before in a folder."""
        return self.session.training.specs.get(str(folder))

    def propose(self, *, anew: bool = False) -> None:
        """A folder of its own: the first that is free, or unless `anew` has an unfinished training of the same."""
        title = model_title(self.source.model).replace(" ", "-")
        name = self.preset or f"{FURTHER.sub('', title)}-further"

        def fits(folder: Path) -> bool:
            spec = self._spec_of(folder)
            same = spec is not None and (spec.preset, spec.source) == (self.preset, self._source_name())
            return is_free(folder) or (same and not anew and unfinished(folder) is not None)

        self._own_folder = True
        self.out.setText(next((str(folder) for folder in folders(name) if fits(folder)), ""))
        self.look()

    def _begin_anew(self) -> None:
        self.propose(anew=True)
        self.turned.emit()

    def _source_name(self) -> str:
        return "" if self.preset else self.source.model

    def _edit_folder(self, _: str) -> None:
        self._own_folder = False
        self.look()
        self.turned.emit()

    def _choose_folder(self) -> None:
        folder = self.folder()
        start = str(folder.parent) if folder is not None else ""
        path = QFileDialog.getExistingDirectory(self, tr("Folder to write to"), start)
        if path:
            self.out.setText(path)
            self._edit_folder(path)

    def look(self) -> None:
        """See whether the folder has a training that can be gone on with; its numbers are then those of the form."""
        self.quiet("out")
        folder = self.folder()
        before, self.found = self.found, unfinished(folder) if folder is not None else None
        for field in (self.what, self.steps, self.batch, self.lr, self.seed, self.dtype):
            field.setEnabled(self.found is None)
        self.new_folder.setVisible(self.found is not None)
        if self.found is not None:
            self._tell_phases()
            self._adopt(self.found)
        elif before is not None and self.session.greeting:
            self._fill_recipe()
        if self.session.greeting:
            self.what.setItemText(self.what.count() - 1, self._further())
        self.changed.emit()

    def _adopt(self, found: Unfinished) -> None:
        """Fill in what the unfinished training says of itself."""
        run = found.run
        spec = self._spec_of(self.folder())
        self._fill(vars(run.recipe))
        preset = "" if run.checkpoint else run.name
        with QSignalBlocker(self.what):
            self.what.setCurrentIndex(max(0, self.what.findData(preset)))
        if spec is not None:
            self.data = spec.data
            self.device.setCurrentIndex(max(0, self.device.findText(spec.device)))
        self.show_texts()
        self.say(
            "out",
            tr(
                "Training stopped there at step {step} of {steps}. Resume continues it as it was begun; "
                "to train anything else, choose New folder."
            ).format(step=f"{found.step:,}", steps=f"{found.steps:,}"),
            wrong=False,
        )

    # The spec

    def spec(self) -> Spec | None:
        """What is filled in; None where something is missing, which is then said at its field."""
        self._own_choice = False  # the person wants what stands there
        self._take_texts()
        self.quiet(*(row for row in ROWS if not (row == "out" and self.found)))
        self._tell_phases()
        for row, wrong in self._missing():
            if wrong:
                self.say(row, wrong)
                return None
        known = self._spec_of(self.folder()) if self.found else None
        model, config = (known.source, known.config) if known else (self.source.model, self.source.config)
        return Spec(
            out=str(self.folder()),
            preset=self.preset,
            source="" if self.preset else model,
            config=() if self.preset else config,
            data=() if self.makes_its_own else tuple(str(Path(path).absolute()) for path in self.data),
            steps=self.steps.value(),
            batch=self.batch.value(),
            lr=self._rate(),
            dtype=self.dtype.currentText(),
            device=self.device.currentText(),
            seed=self.seed.value(),
        )

    def _missing(self) -> Iterator[tuple[str, str]]:
        """Each row with what is missing or wrong there, "" where nothing is."""
        if not self.makes_its_own:
            yield "data", "" if self.data else tr("Choose a text to learn from.")
            yield from (("data", unreadable(path)) for path in self.data)
        yield "out", self._folder_or_wrong()[1]
        yield (
            "numbers",
            "" if 0 < self._rate() < MOST_RATE else tr("The rate is a positive number such as 0.001."),
        )

    def _rate(self) -> float:
        """The learning rate, 0 where none is said."""
        try:
            return float(self.lr.text())
        except ValueError:
            return 0.0

    def blame(self, message: str, spec: Spec) -> bool:
        """Say at its field what the command refused; False where it is about no field."""
        if any(path in message for path in spec.data):
            self.say("data", message)
        elif spec.out in message:
            self.say("out", message)
        elif spec.source and spec.source in message:
            self.say("what", message)
        else:
            return False
        return True
