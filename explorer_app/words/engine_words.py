"""What the engine does, and what it said, in words."""

from explorer_app.state.session import Session
from explorer_app.words.model_words import model_title
from explorer_app.words.text import sentence, tr


def doing_words(session: Session) -> str:
    """What the engine is busy with, and what memory it needs for it; "" where nobody has waited for it yet."""
    what, share = session.progress
    if share == 1.0:
        return ""
    if session.engine == "starting":
        return tr("Starting the engine…")
    words = {"loading": tr("Loading {model}…"), "running": tr("Running {model}…")}
    doing = words.get(what, what).format(model=model_title(session.scene.model))
    return " ".join([doing, session.needs]).strip()


def waiting_words(session: Session) -> str:
    """Why what was asked for is not there: what the engine says, or does; "" while it may still come at once."""
    return sentence(session.message) or doing_words(session)


def late_words(session: Session) -> str:
    """Why a picture on screen is of something else than was asked for; "" while an answer may still come at once."""
    why = waiting_words(session)
    return tr("Out of date: {why}").format(why=why) if why else ""
