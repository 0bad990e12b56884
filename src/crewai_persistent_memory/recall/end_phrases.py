"""Phrases that tell that something is over: "instead of", "left", "was replaced", "died"."""

from __future__ import annotations

import re
from typing import Final

IN_PLACE_OF: Final = re.compile(
    r"\b(?:instead of|in (?:place|lieu) of|rather than|replac(?:es?|ed|ing)|succeed(?:s|ed)|supersed(?:es|ed|ing)"
    r"|displaced|overtook|took over from|anstelle von|anstatt|statt|ersetzte?|remplace|a remplacé|au lieu d[eu]"
    r"|en lugar de|sustituye a|reemplazó a)\b",
    re.IGNORECASE,
)
"""What stands behind it is over. What comes in its place may stand before it: "Mark replaced Laura"."""

LEAVES: Final = re.compile(
    r"\b(?:left|leaves|leaving|quit|quits|quitting|dropped|drops|ditched|abandoned|scrapped|sold|finished|lost|fired"
    r"|dismissed|uninstalled|cancell?ed|divorced|(?:gave|given) (?:up|away)|got rid of|threw (?:out|away)|let go of"
    r"|phased out|broke up with|split (?:up )?(?:with|from)|parted (?:(?:ways|company) )?(?:with|from)"
    r"|goodbye to|(?:resigned|retired|graduated|separated|withdrew|unsubscribed|went) from"
    r"|(?:moved|switched|migrated|changed|transferred|relocated) (?:away |over |out )?(?:from|of)"
    r"|(?:dropped|pulled|cleared) out of|(?:stopped|stops) (?:using|taking|eating|drinking|playing|smoking|wearing"
    r"|driving|dating|seeing|learning|studying|teaching|attending|buying|(?:going|subscribing) to"
    r"|working (?:at|for|with|in|on))"
    r"|trennte sich von|verließ|verkaufte|kündigte bei|a (?:quitté|vendu)|dejó|vendió)\b",
    re.IGNORECASE,
)
"""What stands behind it is over for who stands before it."""

_LATELY: Final = r"(?:(?:been|now|finally|since|already|recently|just|fully|then) )*"
IS_OVER: Final = re.compile(
    rf" (?:(?:has|have|had|was|were|is|are|got|wurde|ist|hat|a été|est|fue|ha sido) {_LATELY}(?:durch (?:\w+ ){{1,3}})?"
    r"(?:replaced|dropped|ditched|retired|superseded|discontinued|decommissioned|succeeded|abandoned|scrapped"
    r"|sold(?! out)|cancell?ed|removed|deleted|dissolved|disbanded|terminated|phased out|shut down|switched off|let go"
    r"|fired|dismissed|gone|dead|over(?! \w)|history|obsolete|abgelöst|ersetzt|abgeschafft|eingestellt|verkauft"
    r"|gestorben|remplacée?|vendue?|supprimée?|morte?|reemplazad[oa]|sustituid[oa]|vendid[oa])"
    rf"|(?:(?:has|have|had|ha|est) {_LATELY})?(?:died|passed away|resigned|retired|stepped down|departed|lapsed|quit"
    r"|starb|kündigte|murió|muerto))\b(?! (?:for|to)\b)",
    re.IGNORECASE,
)
"""What stands before it is over."""

_WORDS: Final = """
    instead place lieu rather replace replaces replaced replacing succeeds succeeded supersedes superseded superseding
    displaced overtook took anstelle anstatt statt ersetzt ersetzte remplace remplacé remplacée lieu lugar sustituye
    reemplazó left leaves leaving quit quits quitting dropped drops ditched abandoned scrapped sold finished lost fired
    dismissed uninstalled cancelled canceled divorced gave given got threw let phased broke split parted goodbye
    resigned retired graduated separated withdrew unsubscribed went moved switched migrated changed transferred
    relocated pulled cleared stopped stops trennte verließ verkaufte kündigte quitté vendu vendue dejó vendió
    discontinued decommissioned removed deleted dissolved disbanded terminated shut gone dead over history obsolete
    abgelöst abgeschafft eingestellt verkauft gestorben supprimé supprimée mort morte reemplazado reemplazada sustituido
    sustituida vendido vendida died passed stepped departed lapsed starb murió muerto
"""
WORDS: Final = frozenset(_WORDS.split())
"""Each phrase has one of these. A text that has none tells of no end."""
