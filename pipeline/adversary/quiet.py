"""Standard output is the protocol's and logs hold no text: the libraries' own talk is switched off."""

from __future__ import annotations

import logging
import warnings


def quiet() -> None:
    """Silence the libraries. Not only noise: the trainer's warning about an abstaining judge quotes the text."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    for name in ("trl", "accelerate", "peft"):
        logging.getLogger(name).setLevel(logging.ERROR)
