"""`--abstain RISK`: from the risk that a user allows to the confidence below which no emotion is named."""

from __future__ import annotations

from dfer.errors import DferError
from dfer.inference.doubts import Abstaining
from dfer.models import Card
from dfer.models.abstention import least_confidence


def abstaining(card: Card, prior: str, risk: float) -> Abstaining:
    """How sure the network must be.

    Args:
        card: of the network.
        prior: the population that is answered for.
        risk: of naming another emotion than most people would, at most; see `dfer.models.abstention`.

    Raises:
        DferError: the card has no table of held-out clips, or it is for another population, or the risk cannot be kept.
    """
    if not card.abstention:
        raise DferError(
            "--abstain needs votes that the model was not trained on, and its card has none; `dfer calibrate` writes "
            "them, or leave --abstain out"
        )
    if prior != card.view:
        raise DferError(f"--abstain was proved for --prior {card.view}, not for {prior}; leave one of the two out")
    return Abstaining(risk, least_confidence(card.abstention, risk))
