"""Questions without an answer in languages that have no lists of their own in :mod:`.phrases`.

A few phrases of each language, and a strict form around them: each part of an answer says that there is none, is
polite, or repeats the question.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

_NO_ANSWER_OF_SCRIPTS: Final = re.compile(
    r"不知道|不清楚|不了解|无法(?:回答|确定|得知)|無法(?:回答|確定)|(?:没有|沒有|无|無)[^，。]{0,6}(?:信息|資訊|记录|記錄|资料|資料)"
    r"|[分わ]かりません|[分わ]からない|存じません|知りません|知らない|情報[^、。]{0,8}(?:ありません|ございません|ない)|記録[^、。]{0,4}ありません"
    r"|모르겠|모릅니다|몰라요|알 수 없|(?:정보|기록)[가는이]? 없"
    r"|لا أعرف|لا أعلم|لا توجد معلومات|לא יודעת?|אין (?:לי )?מידע|नहीं पता|पता नहीं|ไม่(?:ทราบ|รู้)|ไม่มีข้อมูล"
)
_NO_ANSWER_OF_WORDS: Final = re.compile(
    r"\b(?:δεν (?:ξέρω|γνωρίζω)|не зна(?:ю|ем|ємо|м)\b|неизвестно\b|невідомо\b"
    r"|нет (?:\w+ )?(?:информации|данных|сведений)|(?:немає|нямам) (?:\w+ )?(?:інформації|даних|информация)"
    # Italian, Portuguese, Dutch
    r"|non (?:lo )?so\b|non (?:ho|abbiamo|ci sono) (?:\w+ )?informazioni|nessuna informazione"
    r"|não (?:\w+ )?sei\b|não (?:tenho|há|temos) (?:\w+ )?informaç|sem informaç"
    r"|weet (?:ik )?(?:\w+ )?niet\b|geen (?:\w+ )?informatie"
    # Swedish, Danish, Norwegian
    r"|(?:jag|jeg|vi) (?:vet|ved) (?:\w+ ){0,2}(?:inte|ikke)\b|(?:vet|ved) (?:jag|jeg|vi) (?:\w+ )?(?:inte|ikke)\b"
    r"|ing[ae]n? (?:\w+ )?(?:information(?:er)?|informasjon|uppgift(?:er)?|oplysning(?:er)?|opplysning(?:er)?"
    r"|aning|anelse"
    r"|data|viden)\b|har (?:inte|ikke) (?:\w+ )?(?:information|informasjon|uppgifter|oplysninger|opplysninger)\b"
    r"|(?:kunde|kunne|kan) (?:inte|ikke) (?:hitta|finde|finne|svara|svare|säga|sige|si)\b|framgår (?:inte|ikke)\b"
    r"|fremgår ikke\b|känner inte till\b"
    # Polish, Czech, Slovak, Croatian
    r"|nie wiem\b|nie wiadomo\b|nie mam(?:y)? (?:\w+ )?(?:informacji|danych|pojęcia|wiedzy)\b"
    r"|brak (?:\w+ )?(?:informacji|danych|odpowiedzi)\b|nie znam odpowiedzi\b|nie (?:znalaz\w+|znaleziono"
    r"|pamiętam)\b"
    r"|ne(?:vím|víme|viem|vieme)\b|nem(?:ám|áme) (?:\w+ )?(?:informac\w+|údaje|tušení)\b"
    r"|žádné (?:\w+ )?(?:informace|údaje)\b"
    r"|není (?:mi )?známo\b|ne znam\b|nemam (?:\w+ )?(?:informacij\w+|podatk\w+)\b"
    # Turkish
    r"|bilmiyor(?:um|uz)\b|bilg\w+ (?:\w+ )?(?:yok|değil\w*|bulunm\w+|bulamad\w+)\b|fikrim yok\b|bulamadım\b"
    r"|hatırlamıyorum\b|emin değilim\b"
    # Romanian
    r"|nu (?:\w+ )?[sșş]tiu\b|nu (?:am|avem|există|dețin) (?:\w+ )?(?:informa[tțţ]ii|date|idee)\b"
    r"|nicio informa[tțţ]ie\b"
    r"|habar n-am\b|nu (?:am găsit|cunosc)\b"
    # Hungarian
    r"|nem tud(?:om|juk)\b|ninc(?:s|senek) (?:\w+ )?(?:informáci\w+|adat\w*|tudomás\w+)\b|nem (?:ismert"
    r"|találtam|emlékszem)\b"
    r"|fogalmam sincs\b"
    # Finnish
    r"|(?:en|emme) (?:\w+ )?(?:tiedä|muista|löytänyt|osaa sanoa)\b|ei (?:ole )?(?:\w+ )?(?:tieto\w*|tietoa"
    r"|tiedossa)\b"
    # Vietnamese, Indonesian
    r"|(?:không|chưa) (?:\w+ )?(?:biết|rõ|nhớ|tìm thấy)\b|(?:không|chưa) có (?:\w+ )?thông tin\b"
    r"|tidak (?:tahu|mengetahui)\b|tidak ada informasi\b)",
    re.IGNORECASE,
)
_OPENING: Final = """
    δεν не неизвестно невідомо нет немає нямам non nessuna não sem weet niet geen jag jeg vi vet ved inga inge ingan
    ingen har kunde kunne kan framgår fremgår känner nie brak nevím nevíme neviem nevieme nemám nemáme žádné není ne
    nemam bilmiyorum bilmiyoruz fikrim bulamadım hatırlamıyorum emin nu nicio habar nem nincs nincsenek fogalmam en emme
    ei không chưa tidak
"""
_OPENING_WORDS: Final = frozenset(_OPENING.replace("ı", "i").split())
"""The first words of the phrases above. Few texts have one: to look for them takes a tenth of the time."""

_OPENING_LETTERS: Final = "bilg"
"""Of a first word that has many forms."""

_POLITE: Final = re.compile(
    r"抱歉|对不起|對不起|很遗憾|很遺憾|申し訳|すみません|恐れ入り|残念|죄송|미안|유감|عذر|آسف|للأسف|סליחה|מצטער|क्षमा|माफ़|खेद|ขออภัย|ขอโทษ"
    r"|συγγνώμη|δυστυχώς|λυπάμαι"
    r"|\b(?:извин\w+|прост\w+|к сожалению|на жаль|вибач\w+|за съжаление|mi dispiace|purtroppo|scus\w+|desculp\w+"
    r"|lamento"
    r"|infelizmente|helaas|sorry|tyvärr|ledsen|förlåt|beklag\w*|desværre|dessverre|undskyld|unnskyld|niestety"
    r"|przepraszam"
    r"|przykro|bohužel|bohužiaľ|omlouvám|promiňte|nažalost|žao mi|üzgünüm|maalesef|özür|kusura|îmi pare rău"
    r"|din păcate|scuz\w+"
    r"|sajn\w+|elnézést|valitettavasti|anteeksi|pahoittelen|xin lỗi|rất tiếc|maaf)\b",
    re.IGNORECASE,
)
_INTERROGATIVES: Final = (
    # Swedish, Danish, Norwegian
    r"var|vart|vem|vems|vad|vilk(?:en|et|a)|när|varför|hur|om|har|kan|finns|vet du|hvor|hvem|hvad|hva|hvilk(?:en|et|e)"
    r"|hvornår|når|hvorfor|hvordan|ved du"
    # Polish, Czech, Croatian
    r"|gdzie|kto|kogo|komu|co|jak|jaki\w*|jaka|które\w*|który\w*|która|kiedy|dlaczego|ile|czy|skąd|dokąd"
    r"|kde|kdo|koho|jaký|jaká|jaké|kter\w+|kdy|proč|kolik|odkud|kam|gdje|tko|što|kada|zašto|koliko|koji|koja"
    # Romanian, Hungarian, Finnish, Indonesian
    r"|unde|cine|cui|care|când|cum|cât\w*|dacă|ce(?! (?:soir|matin|qui|que|sont|est|jour|n))"
    r"|hol|hova|honnan|kinek|kit|ki|milyen|melyik|mikor|miért|hogyan|hány|mennyi|hogy|mit(?! (?:de[mnr]|(?:m|d"
    r"|s)?ein|unser|ihr))"
    r"|missä|mistä|mihin|minne|kuka|kenen|ketä|mikä|mitä|milloin|miksi|miten|kuinka|montako"
    r"|(?:on|ovat|asuu|voi|voit|saa|tiedät|tietää|pitää|syö|juo|haluaa|tykkää|tarvitsee|osaa|käy|tulee)k[oö]"
    r"|siapa|apa|kapan|mengapa|bagaimana|berapa|di mana"
    # Russian, Ukrainian, Bulgarian
    r"|где|кто|кого|что|когда|почему|как|какой|какая|какие|какое|сколько|куда|откуда|чей|де|хто|що|коли|чому|як"
    r"|къде|кой"
    # Italian, Portuguese, Dutch
    r"|dove|chi|che|cosa|quando|perché|come|quant[oaie]|onde|quem|qual|quanto|o que|como|waar|wie|wat|wanneer"
    r"|waarom|hoe|welke?"
)
_OPENS: Final = re.compile(rf"\W*(?:{_INTERROGATIVES})\b", re.IGNORECASE)
_ASKS_ANYWHERE: Final = re.compile(
    r"\b(?:nere(?:de|ye|den|li)|ne zaman|ne(?! \w+ (?:pas|plus|rien|jamais))|nedir|neyi|kim(?:in|e|dir|ler)|kaç"
    r"|hangi\w*|nasıl|niçin|neden"
    r"|đâu|gì|nào|bao nhiêu|bao giờ|khi nào|tại sao|vì sao|thế nào|mấy)\b|^ai\b|\b(?:không|m[ıiuü](?:y\w+|d[ıi]r"
    r"|s\w+)?)(?=\W*$)",
    re.IGNORECASE,
)
"""Turkish and Vietnamese: the word that asks stands anywhere."""

_INSTRUCTS: Final = re.compile(
    r"\W*(?:svara|hitta|skriv|berätta|svar|fortæl|fortell|odpowiedz|znajdź|napisz|podaj|wymień|odpověz|najdi"
    r"|napiš|uveď|răspunde|găsește|scrie|spune|válaszolj|válaszold|írj|írd|keresd|mondd|vastaa|etsi|kirjoita|kerro"
    r"|hãy|trả lời"
    r"|jawab)\b",
    re.IGNORECASE,
)

LONGEST_ANSWER: Final = 120
_CLAUSES: Final = re.compile(
    r"(?<=[?？؟])|[.!;,。！，、،…\n]+|但|しかし|लेकिन|하지만"
    r"|\b(?:но|однако|але|проте|ma|mas|maar|αλλά|όμως|men|ale|lecz|jednak|však|ama|fakat|ancak|dar|însă|viszont"
    r"|azonban|mutta"
    r"|nhưng|tapi|tetapi)\b",
    re.IGNORECASE,
)
_EXPLAINS: Final = re.compile(r"[:：]|ですが[^、。]*(?:です|ます)")
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_LETTERS: Final = re.compile(r"[^\W_]+")
_LEAST_OF_A_STEM: Final = 3


def says_no(answer: str, request: str) -> bool:
    """Whether an answer only says that there is none.

    Args:
        answer: the answer, without blanks around it.
        request: what was asked. Its names and numbers are no news.
    """
    if len(answer) > LONGEST_ANSWER or not _has_no_answer(answer) or _EXPLAINS.search(answer):
        return False
    for clause in filter(None, map(str.strip, _CLAUSES.split(answer))):
        if not (_has_no_answer(clause) or _POLITE.search(clause) or asks_in_part(clause)):
            return False
    known = {word.lower() for word in _WORD.findall(request)}
    return not any(_is_news(word, known) for word in _inner_words(answer))


def _has_no_answer(text: str) -> bool:
    """Whether a text has a phrase that says that there is no answer."""
    lowered = text.lower() if text.isascii() else text.replace("İ", "i").lower().replace("ı", "i")
    may_have = not _OPENING_WORDS.isdisjoint(_LETTERS.findall(lowered)) or _OPENING_LETTERS in lowered
    if may_have and _NO_ANSWER_OF_WORDS.search(text):
        return True
    return not text.isascii() and bool(_NO_ANSWER_OF_SCRIPTS.search(text))


def asks(sentence: str) -> bool:
    """Whether a sentence, in lower case, is a question or an instruction of one clause."""
    if _INSTRUCTS.match(sentence):
        return True
    if not sentence.endswith("?") or re.search(r"[,;:.]", sentence):
        return False
    return bool(_OPENS.match(sentence) or _ASKS_ANYWHERE.search(sentence))


def asks_in_part(clause: str) -> bool:
    return clause.endswith(("?", "？", "؟")) or bool(_OPENS.match(clause) or _ASKS_ANYWHERE.search(clause))


def _inner_words(answer: str) -> list[str]:
    """The words of an answer but for the first of each sentence, which may have a capital letter; and its numbers."""
    words = []
    for sentence in re.split(r"[.!?。！？]\s*", answer):
        first, *others = _WORD.findall(sentence) or [""]
        words += [first] if first[:1].isdigit() else []
        words += others
    return words


def _is_news(word: str, known: Collection[str]) -> bool:
    """Whether a word is a number or a name that was not asked about. A name may have another ending."""
    if not (word[0].isupper() or any(map(str.isdigit, word))):
        return False
    lowered = word.lower()
    if lowered in known or any(map(str.isdigit, word)):
        return lowered not in known
    least = max(_LEAST_OF_A_STEM, len(word) - 2)
    return not any(each.startswith(lowered[:least]) for each in known)
