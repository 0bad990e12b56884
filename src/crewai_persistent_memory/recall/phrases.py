"""Phrases of requests that only ask, and of answers that say nothing, in the languages in which agents are run."""

from __future__ import annotations

import re
from typing import Final

BARE: Final = re.compile(
    r"[\s\"'*(\[]*(?:unknown|n/?a|not (?:known|available|specified|mentioned|found|sure)|no (?:answer|idea"
    r"|information|"
    r"data|result|results|clue)(?: (?:available|found))?|unbekannt|nicht bekannt|keine (?:ahnung|angabe|angaben"
    r"|antwort|"
    r"information|informationen|daten)|k\. ?a|weiß nicht|inconnu|aucune (?:idée|information|réponse)|je ne sais pas|"
    r"pas d'information|desconocido|sin información|ni idea|no (?:lo )?sé|i don't know|i do not know|dunno|idk"
    r"|null|\.{3}|…|[-–—?]+)"
    r"[\s.!\"'*)\]]*"
)

NO_ANSWER: Final = re.compile(
    # English
    r"\b(?:(?:i|we) (?:\w+ )?(?:(?:do|did)(?:n't| not)) (?:\w+ )?(?:know|recall|remember|see|find)\b"
    r"|(?:i|we|memor\w+|records?|context|conversations?) (?:\w+ )?(?:do|does|did)(?:n't| not) (?:\w+ )?have"
    r" (?:\w+ ){0,6}(?:information|info|records?|memor\w+|details?|data|answers?"
    r"|knowledge|mention|idea|context|access|that|it)\b"
    r"|(?:do|does|did)(?:n't| not) (?:\w+ )?(?:contain|mention|include|provide|specify|state|indicate)\b"
    r"|(?:can(?:no|')t|can not|could(?:n't| not)|(?:am|are|is|was|were|'m|'re) (?:not able|unable)(?: to)?"
    r"|(?:is|are|was|were)n't able(?: to)?|unable to)"
    r" (?:\w+ )?(?:to )?(?:find|answer|tell|say|determine|recall|provide|locate|help|identify|see|know|give)\b"
    r"|(?:is|are|was|were)(?:n't| not) (?:\w+ )?(?:known|mentioned|specified|stated|available|provided|sure|certain|"
    r"recorded|given|aware|stored|clear|enough|any)\b"
    r"|(?:i'm|i am|we are|we're) not (?:sure|certain|aware)\b|no idea\b"
    r"|(?:has|have|had)(?:n't| not)(?: yet)? (?:been )?(?:told|mentioned|shared|provided|stated|specified|any"
    r"|recorded)\b"
    r"|have no (?:\w+ )?(?:information|record|records|memory|memories|idea|data|knowledge|answer|details|way)\b"
    r"|(?:there (?:is|are|was|were)|there's|i (?:found|find|see)|found|contains?|with|has|had|gives?|provides?) "
    r"no(?: \w+)? (?:information|record|records|mention|memory|memories|data|details|answer|indication|entry|entries|"
    r"result|results|evidence)\b"
    r"|^\W*no (?:\w+ )?(?:information|records?|mention|memory|memories|data|details|answer|results?|entries)\b"
    r"|nothing (?:\w+ )?(?:is |was |has been )?(?:known|mentioned|recorded|stored|found|said|in (?:my|the) memor)"
    r"|(?:insufficient|not enough) (?:information|data|context|details)\b"
    r"|(?:remains?|is|are) unknown\b"
    # German
    r"|(?:weiß|weiss|wissen|kenne|kann|konnte|können) (?:\w+ ){0,8}nicht\b|nicht (?:bekannt|erwähnt|angegeben"
    r"|vorhanden|"
    r"gefunden|hinterlegt|beantworten|genannt|gespeichert|ersichtlich|sagen|sicher|genug)\b"
    r"|keine(?:rlei|n)? (?:\w+ )?(?:information|informationen|angabe|angaben|daten|ahnung|antwort|auskunft"
    r"|erinnerung|"
    r"erinnerungen|hinweise|hinweis|kenntnis|einträge|eintrag|details|ergebnisse)\b|nichts (?:\w+ )?(?:bekannt"
    r"|gefunden|"
    r"darüber|dazu|davon|gespeichert)|(?:ist|sind|bleibt) (?:mir )?unbekannt\b"
    # French
    r"|ne (?:le |la )?(?:sais|savons|connais|peux|trouve|dispose|contien\w+|mentionn\w+"
    r"|précis\w+) (?:\w+ )?(?:pas|rien|"
    r"aucune?)\b|n'(?:ai|avons|est|a|y a|indique\w*)(?: \w+){0,2} (?:pas|aucune?|rien)\b"
    r"|aucune? (?:\w+ )?(?:information|idée|"
    r"donnée|réponse|mention|trace|détail|souvenir)s?\b|pas (?:d'informations?|d'idée|mentionnée?|précisée?"
    r"|connue?)\b"
    # Spanish
    r"|no (?:lo )?(?:sé|sabemos|tengo|tenemos|dispongo|encuentro|encontré|hay|puedo|recuerdo|conozco|consta"
    r"|figura|existe|"
    r"contiene|menciona|se (?:menciona|indica|especifica|sabe|conoce))\b|ninguna? (?:información|dato|mención"
    r"|idea)\b)"
)

SIGNS_OF_NO_ANSWER: Final = (
    "not",
    "no ",
    "unable",
    "unknown",
    "insufficient",
    "nicht",
    "kein",
    "unbekannt",
    "ne ",
    "n'",
    "aucun",
    "pas ",
    "ningun",
)
"""Whatever :data:`NO_ANSWER` finds has one of these. To look for them takes a tenth of the time."""

POLITE: Final = re.compile(
    r"^\W*(?:i(?:'m| am)? (?:\w+ )?(?:sorry|apologi[sz]e|afraid)|sorry|apologies|unfortunately|please|could you"
    r"|can you|"
    r"would you|if you|let me know|feel free|thank|happy to|i(?:'d| would) be happy|i can help|is there anything"
    r"|do you|"
    r"based on|according to|my (?:final )?answer|final answer|thought|leider|entschuldig\w+|tut mir leid"
    r"|es tut mir leid|"
    r"bitte|wenn (?:du|sie)|falls (?:du|sie)|können sie|kannst du|gerne|danke|désolée?|je suis désolée?"
    r"|malheureusement|"
    r"pouvez-vous|pourriez-vous|si vous|merci|lo siento|lamentablemente|disculp\w+|por favor|si (?:me|puedes?)"
    r"|gracias|"
    r"puedes?|podría)\b|^\W*(?:based on|according to|in|from) (?:the|my|our|what)\b[^.]*$"
)
POLITE_REST: Final = re.compile(
    r"(?:^|[.!?;\n,])\s*(?:please|could you|if you|let me know|feel free|bitte|wenn|falls)[^.!?\n]*"
)
REASON: Final = re.compile(
    r"\b(?:because|since|except|apart from|other than|until|unless|only that|weil|außer|ausser|bis auf|da er|da sie|"
    r"parce que|puisque|sauf|porque|ya que|salvo|excepto)\b"
)
_USUAL_WORDS: Final = """
    i i'm i'd i've we we're you your me my our us the a an any no not don't doesn't didn't isn't aren't wasn't haven't
    hasn't cannot can't couldn't can could would do does did is are was were be been am have has had there there's that
    this it its it's to of in on at for from with about and or but however so as if by what which who where when why how
    know knows known information info specific details detail data record records recorded memory memories mention
    mentioned mentions provided provide specified stated state say said tell told find found see recall remember
    answer answers question determine available currently current yet enough sufficient insufficient context
    conversation conversations history past previous previously unfortunately sorry apologize afraid sure certain idea
    unable able help nothing unknown unclear contain contains stored store entry entries result results based given
    provide shared indicated indication evidence knowledge access relevant regarding concerning please let more his her
    their he she they user user's guest guest's customer customer's person final thought personal preference
    preferences topic subject one myself at all time moment yet really still
    ich wir sie du es mir mich uns dir ihnen leider weiß weiss wissen nicht kein keine keinen keinerlei habe haben hat
    ist sind war der die das den dem des ein eine einen einer zu zum zur über von im in am auf für mit dazu darüber
    davon und oder aber information informationen angabe angaben daten ahnung antwort frage erinnerung erinnerungen
    bekannt unbekannt erwähnt angegeben vorhanden gefunden hinterlegt gespeichert sagen kann konnte können
    beantworten genug nichts entschuldigung tut leid bisher noch aktuell derzeit was wer wo wann wie welche welcher
    welches ob gast nutzer benutzer kunde
    je nous vous il elle ne n pas sais savons aucun aucune information informations idée donnée données réponse mention
    trace détail détails désolé désolée malheureusement n'ai n'est n'a ai est a le la les l de du des d un une sur dans
    mémoire souvenir souvenirs connais connu connue mentionné mentionnée disponible à ce sujet question et ou où quand
    qui que quel quelle
    yo no lo sé sabemos tengo tenemos hay ninguna ningún información informacion dato datos mención idea respuesta
    siento lamentablemente encuentro encontré puedo recuerdo recuerdos memoria el la los las de del un una sobre en
    que qué quién dónde cuándo cuál ese esa esto pregunta disponible se menciona indica especifica sabe conoce y o su
"""
WORDS_OF_NO_ANSWER: Final = frozenset(_USUAL_WORDS.split())

# -- requests ----------------------------------------------------------------------------------------------------------

OPENS_QUESTION: Final = re.compile(
    r"\W*(?:(?:and|so|ok|okay|then|but|also|well|now|please|hello|hi|hey|und|also|dann|bitte|hallo|et|alors"
    r"|bonjour|y|"
    r"entonces|hola|excuse me|sorry),?\s+)*"
    r"(?:in |at |on |to |for |from |with |by |about |of |since |until |an |in |bei |mit |von |zu |für |über "
    r"|seit |à |de |"
    r"dans |avec |pour |depuis |chez |en |con |por |para |desde )?"
    r"(?:who|whom|whose|what|what's|who's|where's|when's|how's|which|where|when|why|how|is|are|am|was|were|do"
    r"|does|did|"
    r"can|could|would|will|shall|should|has|have|had|may|might|isn't|aren't|don't|doesn't|didn't|any|anything|"
    r"wer|wen|wem|wessen|was|welche[rsmn]?|wo|wo(?:hin|her|mit|für|gegen|zu|von|bei|nach|durch|r(?:an|auf|in|über|um))|wann|warum|wieso|weshalb|wie|ist|sind|"
    r"war|waren|hat|haben|habe|kann|kannst|können|könnte|könntest|soll|sollte|wird|weißt|weiss|wissen|gibt|mag|darf|"
    r"qui|que|quoi|quel(?:le)?s?|où|quand|pourquoi|comment|combien|est-ce|qu'|est-il|est-elle|peux-tu|pouvez-vous|"
    r"chi|che|cosa|dove|quando|perché|quanto|quale|quem|o que|onde|quanto|qual|wie|wat|waar|wanneer|waarom|hoe|welke?|"
    r"quién(?:es)?|qué|cuál(?:es)?|dónde|adónde|cuándo|cuánt[oa]s?|cómo|por qué)\b"
)

OTHER_QUESTION: Final = re.compile(
    r"(?:[\u3005-\u30ff\u3400-\u9fff][^，、；。]*：)?[\u0370-\u1fff\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af]"
    r"[^，、；：。,;:]*[?？؟]"
)
"""One clause in a script other than Latin, where no list says what opens a question; after "：", what it belongs to."""

OF_KNOWING: Final = re.compile(
    r"\b(?:i|we)\b(?: \w+){0,4} (?:know|find|found|recall|locate|tell|answer|information|records?|memory|details"
    r"|mention)\b"
    r"|\b(?:memor\w+|records?|notes|context|documents?|conversations?|information|passages|transcripts)\b(?: \w+){0,3}"
    r" (?:mention|contain|include|say|state|specify|provide|reveal|have)\b"
)
"""Words of an answer that is about what is known, and not about what there is: "the manual is not available"."""

ASKS_WITH_A_FACT: Final = re.compile(
    r"\b(?:can|could|would|will) (?:you|someone|somebody|anyone)\b[^?]{0,200}?(?:\d|\bthat (?:my|our|the|i|we)\b)"
    r"|^\W*why (?!(?:do|does|did|is|are|was|were) (?:he|she|it|they|you)\b).{0,200}?(?:\d|\bwe\b|\bour\b|\bmy\b)"
    r"|(?<!have )(?<!had )(?<!has )(?<!did )\b(?:i|we) (?:bought|moved|upgraded|booked|paid|ordered|sold)\b"
    r"|\b(?:my|our) (?:two|three|four|five)\b|,? which (?:renews|ends|starts|expires)\b"
)
"""A question that has a fact in it: "can you remind me that my flight leaves at 6:40?"."""

INSTRUCTS: Final = re.compile(
    r"\W*(?:please |kindly |then |now |first |finally |always |also |bitte )*"
    r"(?:answer|respond|reply|find|tell|write|list|give|use|explain|describe|summari[sz]e|say|state|name|return"
    r"|provide|"
    r"look|check|search|recall|try|help|be|keep|do not|don't|never|only|consider|based on|make sure|ensure|avoid"
    r"|think|"
    r"work|serve|assist|read|show|handle|conduct|research|analy[sz]e|review|follow|reflect|"
    r"determine|identify|reconstruct|mention|cite|if you|when you|"
    r"antworte|beantworte|antworten|beantworten|finde|nenne|schreibe|erkläre|sage|sag|gib|nutze|verwende|fasse|liste|"
    r"suche|prüfe|hilf|halte|wenn du|falls du|"
    r"réponds|répondez|trouve|dis|donne|écris|utilise|résume|indique|"
    r"responde|contesta|encuentra|di|da|escribe|usa|resume|indica|busca)\b"
)
ABOUT_THE_AGENT: Final = re.compile(
    r"\W*(?:you are|you're|you have|you can|you will|you must|you should|your (?:task|goal|job|role|answer|reply)|"
    r"this is the (?:expected|context)|the answer (?:should|must)|a guest|a user|a customer|the (?:user|guest"
    r"|customer) "
    r"(?:asks|asked|wants to know|has asked)|(?:someone|somebody) asks|du bist|sie sind|deine aufgabe|der (?:gast"
    r"|nutzer|"
    r"kunde) (?:fragt|möchte wissen)|tu es|vous êtes|eres|ты|вы)\b|\W*(?:你是|您是|あなたは|당신은)"
)
GREETS: Final = re.compile(
    r"(?:hi|hello|hey|dear|good (?:morning|evening|day)|hallo|guten tag|bonjour|hola|thanks|thank you)"
    r"(?: \w+)?"
)
STATES: Final = re.compile(
    r"\b(?:remember|note|know|mind|assume|given|considering|now|seeing|merk dir|beachte|denk daran|wisse|jetzt wo|"
    r"sachant|maintenant|retiens|recuerda|sabiendo|ahora) (?:that|dass|que|qu')\b|\b(?:because|since i|as i am"
    r"|for i|weil|"
    r"da ich|parce que|comme je|porque|ya que)\b"
    r"|(?:^|[.,;:!]\s*|\b(?:and|but|also|und|aber|et|mais|y|pero)\s+)"
    r"(?:i|i'm|i've|we|we're|my|our|ich|wir|mein\w*|unser\w*|je|j'\w+|nous|mon|ma|mes|yo|mi|mis|soy|estoy|tengo"
    r"|nosotros)\b"
    r"(?!\s+(?:want|would like|'d like|need|wonder|was wondering|möchte|würde|will|wüsste|frage|voudrais|veux"
    r"|aimerais|"
    r"quiero|quisiera)\s+(?:to know|to ask|wissen|gern|savoir|saber|if|ob|you|mich))"
)
VERB: Final = re.compile(
    r"\b(?:is|are|was|were|has|have|had|\w+ed|lives?|likes?|works?|ist|sind|hat|haben|war|est|a|es|tiene)\b"
)

# -- answers that quote ------------------------------------------------------------------------------------------------

NEGATION: Final = re.compile(
    r"\b(?:no|not|never|none|neither|nor|without|cannot|nicht|nie|niemals|kein\w*|ohne|ne|pas|jamais|sans|nunca|sin)\b"
    r"|\b(?:non(?!-)|não|niet|geen|inte|ikke|není|nemá|değil|yok|nu|nem|nincs|ei|eivät|không|chưa|не|нет|ні|немає)\b"
    r"|n['’]t\b|\bn['’]|[不没沒無非]|ない|ません",
    re.IGNORECASE,
)
_QUANTITIES: Final = """
    all every each some most few half only always sometimes often rarely alle jeder jede jedes einige manche wenige nur
    immer manchmal oft selten tous toutes chaque quelques seulement toujours parfois souvent todos todas cada algunos
    algunas solo sólo siempre
"""
QUANTITIES: Final = frozenset(_QUANTITIES.split())
"""Words that say of how many, or how often, a statement holds."""

_OF_ANSWERS: Final = """
    guest guests user users customer customers client you've you're you'd yes sure certainly course ok okay told
    mentioned mention said say remember recall noted note memory memories based according previously earlier know
    recorded stated
    answer final thought they're
    gast nutzer nutzerin kunde kundin sie ihnen ihre ihr ja gesagt erwähnt laut erinnerung erinnerungen antwort
    le la les un une des du de et est es je j'ai il elle vous tu êtes suis as mon ma mes votre vos ton ta tes que qui se
    en à client oui selon el los las y soy eres usted su sus mi mis tu tus una con para por sí según cliente
    您 你 我 他 她 的 是
"""
OF_ANSWERS: Final = frozenset(_OF_ANSWERS.split())
"""Words that an answer may have beside those of what it quotes."""

OFFERS: Final = re.compile(
    r"\W*(?:please|let me know|feel free|i hope|hope|enjoy|have a|happy to|i(?:'d| would) be happy|i can help|if you"
    r"|thank|you(?:'re| are) welcome|sorry|gerne|bitte|ich hoffe|falls sie|wenn sie|viel spaß|je reste|n'hésitez|bonne"
    r"|merci|espero|gracias|si necesita|disfrute)\b",
    re.IGNORECASE,
)
