"""Which roles a head may have, and who described them; what each is measured by is in roles.py."""

from dataclasses import dataclass

from model_core.api.names import AttentionKind

LOCAL = 3  # how many tokens away is still near


@dataclass(frozen=True)
class Role:
    """name    the key of its scores
    about   what it measures, in a sentence
    source  who described it: author, year, title
    link    where that can be read
    within  whether it is about tokens of one text; the others make sense across two texts as well
    """

    name: str
    about: str
    source: str
    link: str
    within: bool = True


ROLES = (
    Role(
        "previous",
        "Mean weight on the token just before.",
        "Elhage et al. 2021, A Mathematical Framework for Transformer Circuits",
        "https://transformer-circuits.pub/2021/framework/index.html",
    ),
    Role(
        "induction",
        "Where the present token stood before: mean weight on the token that followed it then.",
        "Olsson et al. 2022, In-context Learning and Induction Heads",
        "https://transformer-circuits.pub/2022/in-context-learning-and-induction-heads/index.html",
    ),
    Role(
        "duplicate",
        "Where the same token stands elsewhere: mean weight on it.",
        "Wang et al. 2022, Interpretability in the Wild",
        "https://arxiv.org/abs/2211.00593",
        within=False,
    ),
    Role(
        "first",
        "Mean weight on the first token, where attention rests that has nowhere to go: a sink.",
        "Xiao et al. 2023, Efficient Streaming Language Models with Attention Sinks",
        "https://arxiv.org/abs/2309.17453",
        within=False,
    ),
    Role(
        "local",
        f"Mean weight on what lies at most {LOCAL} tokens away, the token itself included.",
        "After the attention distance of Vig & Belinkov 2019, Analyzing the Structure of Attention",
        "https://arxiv.org/abs/1906.04284",
    ),
    Role(
        "uniform",
        "Mean entropy of a token's attention, as a share of the most it could be: 1 is the same weight everywhere.",
        "After Clark et al. 2019, What Does BERT Look At?",
        "https://arxiv.org/abs/1906.04341",
        within=False,
    ),
)


def roles_of(kind: AttentionKind) -> list[Role]:
    """The roles that make sense for a kind of attention."""
    return [role for role in ROLES if not role.within or kind.queries == kind.keys]
