"""The embedded data set: a procedural face, rendered and voted on, in DFEW's layout.

From top to bottom: `scripts` say what is played, `expressions` play it as action units, `face` draws it (with
`head`, `hair`, `mouth`, `sketch`, `identity`), `picture` sets it in a scene and spoils it, `raters` vote on it and
`write` puts it on disk.
"""

from __future__ import annotations

from dfer.datasets.synthetic.write import portrait, synthesise

__all__ = ["portrait", "synthesise"]
