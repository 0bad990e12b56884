"""An entry that states nothing goes behind those that state something, and nothing else is moved."""

from __future__ import annotations

from typing import Final

import pytest

from crewai_persistent_memory.entry import MemoryEntry
from crewai_persistent_memory.recall.empty import last_what_is_empty, says_nothing
from crewai_persistent_memory.recall.found import Found

STATES_NOTHING: Final = (
    ("What is the alarm code of the warehouse?", "I'm sorry, but I don't have the alarm code of the warehouse."),
    ("I need the alarm code of the warehouse, what is it?", "I do not know."),
    ("I'd like to know the alarm code of the warehouse.", "I do not know."),
    ("We want to know whether the pool is heated.", "I do not know."),
    ("Guest Zoe asks: What is the alarm code?", "I do not know."),
    ("Zoe Roth wants to know: what is the alarm code?", "I don't know the alarm code. Please ask the manager."),
    ("Mr. Kern asks what the alarm code of the warehouse is.", "I do not know."),
    ("User 17: what is the alarm code?", "I do not know."),
    ("[Zoe] What is the alarm code?", "I do not know."),
    ("Which seat does this guest like?", "I do not know."),
    ("Where does John live?", "I don't have any information about where John lives."),
    (
        "What is Anna's phone number?",
        "Unfortunately, there is no information about Anna's phone number in the memory. Please provide more details.",
    ),
    ("Answer the guest's question: What is the wifi password?", "I'm sorry, but I don't know."),
    ("What is the wifi password?", "Unknown."),
    ("Wann hat Peter Geburtstag?", "Das weiß ich leider nicht."),
    ("Wo wohnt Anna?", "Dazu liegen mir keine Informationen vor."),
    ("Où habite Marie ?", "Je ne sais pas."),
    ("¿Dónde vive Marta?", "No tengo información sobre eso."),
    ("¿Dónde vive Marta?", "Lo siento, no lo sé."),
    ("Quelle est la couleur préférée de Paul ?", "Désolé, je n'ai aucune information à ce sujet."),
    ("What is John's favourite colour?", "I do not have that information."),
    ("I don't know.", None),
    ("Where do I park?", None),
    ("What is John allergic to?", "No information available."),
    ("Can you tell me what my dog is called?", "I cannot find that in my memory."),
    (
        "You are a concierge. Answer the question.\nQuestion: Which room does Mr Miller have?",
        "The memories do not mention Mr Miller's room.",
    ),
    ("Which bus goes to the airport?", "I could not find any information on that."),
    ("What does she like?", "I'm not sure."),
    ("Where does John live?", "It is not mentioned where John lives."),
    ("What did Tom buy?", "I don't recall what Tom bought."),
    ("Welche Farbe mag Paul?", "Es ist nicht bekannt, welche Farbe Paul mag."),
    ("What is the deadline?", ""),
    (
        "1. Read the message\n2. Check the rules of the house\nThe message of the guest: Where is my car?",
        "Unknown.",
    ),
    ("Question #17: Where do I park?", "I do not know."),
    ("Handle the message below.\n\nMessage: Where do I live?\n\nBe brief.", "I am not sure."),
    ("Hi, where is my key?", "I have no record of that."),
    ("Who is the owner of the repo?", "There's no mention of the owner of the repo in our past conversations."),
    ("When was the last outage?", "No idea, sorry."),
    ("What is John's favourite colour?", "I do not know John's favourite colour."),
    (
        "Answer this question for the user, using what you remember: Does Tim like jazz?",
        "Based on the memories, I cannot determine whether Tim likes jazz.",
    ),
    ("Quand arrive le train ?", "Aucune information disponible."),
    ("¿Qué come Luis?", "No se menciona qué come Luis."),
    ("约翰对什么过敏？", "我不知道。"),
    ("你是礼宾员。请回答客人的问题：约翰住在哪里？", "抱歉，我没有相关信息。"),
    ("ジョンはどこに住んでいますか？", "申し訳ありませんが、その情報はありません。"),
    ("Где живёт Анна?", "Я не знаю."),
    ("안나는 어디에 살아요?", "모르겠습니다."),
    ("Dove vive Anna?", "Non lo so."),
    ("Onde mora a Ana?", "Não sei."),
    ("Waar woont Anna?", "Dat weet ik niet."),
    ("Wogegen ist Anna allergisch?", "Das weiß ich nicht."),
    ("Which seat does Anna like?", "I wasn't able to find this."),
    ("Which seat does Anna like?", "..."),
    ("Which seat does Anna like?", "null"),
    ("Which seat does Anna like?", "-"),
    ("アンナはどこに住んでいますか？", "知りません。"),
    ("Πού μένει η Άννα?", "Δεν ξέρω."),
    ("Πού μένει η Άννα?", "Δεν γνωρίζω."),
    ("अन्ना कहाँ रहती है?", "मुझे नहीं पता।"),
    ("Var bor Anna?", "Jag vet inte."),
    ("Var bor Anna?", "Det vet jag tyvärr inte."),
    ("Var bor Anna?", "Jag vet inte var Anna bor."),
    ("Vad gillar Anna?", "Jag har ingen information om det."),
    ("Vilken plats gillar gästen?", "Tyvärr finns ingen uppgift om det."),
    ("Hvor bor Anna?", "Det ved jeg ikke."),
    ("Hvor bor Anna?", "Jeg ved det desværre ikke."),
    ("Hvad kan Anna lide?", "Jeg har ingen oplysninger om det."),
    ("Hvor bor Anna?", "Jeg vet ikke."),
    ("Hvor bor Anna?", "Det vet jeg dessverre ikke."),
    ("Hva liker Anna?", "Jeg har ingen informasjon om det."),
    ("Hvem eier bilen?", "Beklager, jeg vet ikke hvem som eier bilen."),
    ("Gdzie mieszka Anna?", "Nie wiem."),
    ("Gdzie mieszka Anna?", "Niestety nie mam informacji na ten temat."),
    ("Co lubi Anna?", "Nie wiem, co lubi Anna."),
    ("Gdzie mieszka Anna?", "Brak informacji."),
    ("Kde bydlí Anna?", "Nevím."),
    ("Kde bydlí Anna?", "Bohužel nemám žádné informace."),
    ("Co má Anna ráda?", "To nevím."),
    ("Kde bydlí Anna?", "Nevím, kde Anna bydlí."),
    ("Anna nerede yaşıyor?", "Bilmiyorum."),
    ("Anna nerede yaşıyor?", "Üzgünüm, bu konuda bilgim yok."),
    ("Anna ne seviyor?", "Maalesef bilmiyorum."),
    ("Anna'nın telefon numarası nedir?", "Bu bilgiye sahip değilim."),
    ("Unde locuiește Anna?", "Nu știu."),
    ("Unde locuiește Anna?", "Îmi pare rău, nu am informații despre asta."),
    ("Ce îi place Annei?", "Nu știu ce îi place."),
    ("Hol lakik Anna?", "Nem tudom."),
    ("Hol lakik Anna?", "Sajnos nincs erről információm."),
    ("Mit szeret Anna?", "Sajnos nem tudom."),
    ("Missä Anna asuu?", "En tiedä."),
    ("Missä Anna asuu?", "Valitettavasti minulla ei ole tietoa siitä."),
    ("Mistä Anna pitää?", "En tiedä, mistä Anna pitää."),
    ("Anna sống ở đâu?", "Tôi không biết."),
    ("Anna sống ở đâu?", "Xin lỗi, tôi không có thông tin về điều đó."),
    ("Anna thích gì?", "Tôi không rõ."),
    ("Де живе Анна?", "Я не знаю."),
    ("Къде живее Анна?", "Не знам."),
    ("Gdje živi Anna?", "Ne znam."),
    ("Di mana Anna tinggal?", "Saya tidak tahu."),
    ("Var bor Anna?", None),
    ("Hvor bor Anna?", None),
    ("Gdzie mieszka Anna?", None),
    ("Kde bydlí Anna?", None),
    ("Anna nerede yaşıyor?", None),
    ("Unde locuiește Anna?", None),
    ("Hol lakik Anna?", None),
    ("Missä Anna asuu?", None),
    ("Anna sống ở đâu?", None),
    ("Jag vet inte.", None),
    ("Det ved jeg ikke.", None),
    ("Nie wiem.", None),
    ("Nevím.", None),
    ("Bilmiyorum.", None),
    ("Nu știu.", None),
    ("Nem tudom.", None),
    ("En tiedä.", None),
    ("Tôi không biết.", None),
    ("Где живёт Анна?", "Извините, я не знаю, где живёт Анна."),
    ("Dove vive Anna?", "Mi dispiace, non so dove vive Anna."),
    ("Waar woont Anna?", "Helaas weet ik niet waar Anna woont."),
    ("Onde mora a Ana?", "Não sei onde a Ana mora."),
    ("Anna vegan mı?", None),
    ("Anna vegan mı?", "Bilmiyorum."),
    ("Asuuko Anna Roomassa?", "En tiedä."),
    ("Har Anna en hund?", "Det vet jag inte."),
    ("Svara kort. Var bor Anna?", "Jag vet inte. Kan jag hjälpa dig med något annat?"),
    ("Czy Anna lubi kawę?", "Nie mam takich informacji."),
    ("Var bor Anna?", "Tyvärr, jag har ingen information om var Anna bor."),
    ("Gdzie mieszka Anna?", "Nie mam informacji o Annie."),
    ("Kdo je šéf?", "Omlouvám se, ale nevím."),
)

STATES_SOMETHING: Final = (
    ("Do you have a dog?", "I don't have a dog."),
    ("Which pills do you take?", "I don't have the blue ones, they were bad for me."),
    ("What is the alarm code?", "We don't have the alarm code, the warehouse has none."),
    ("Guest Zoe, who is vegan, asks: what is on the menu?", "I do not know."),
    ("Zoe lives in Rome and asks: what is the weather?", "I do not know."),
    ("I need a wheelchair, which rooms do you have?", "I do not know."),
    ("I want to know the menu and I am allergic to nuts.", "I do not know."),
    ("Mr. Kern asks what the 12 rooms cost.", "I do not know."),
    ("I'd like a window seat. What is free?", "I do not know."),
    ("The message of the guest: the car is in bay 12.", "I do not know."),
    ("Message from Anna: the boiler is broken. When is it mended?", "I do not know."),
    ("My rooms are\n12.\nWhere is the bath?", "I do not know."),
    ("I am allergic to nuts. What can I eat?", "I do not know."),
    ("I moved to Rome, where can I eat?", "I don't know."),
    ("Where does John live?", "I don't know his street, but he lives in Paris."),
    ("Which allergies does he have?", "No known allergies."),
    ("John likes tea", None),
    ("What is John's number?", "I don't have his mobile number; the landline is 555-1234."),
    ("Where does John live?", "John does not live in Paris any more."),
    ("Does John eat meat?", "John does not eat meat."),
    ("Does he have a car?", "He does not have a car."),
    ("Remember that I like the window seat. Can you?", "I don't have that information."),
    ("Can you note that I live in Rome?", "I do not know."),
    ("My dog is called Rex, what should he eat?", "I don't know."),
    ("Ich bin Vegetarier. Was gibt es heute?", "Das weiß ich nicht."),
    ("What does Tom do?", "I do not know exactly, Tom works at Siemens."),
    ("约翰对什么过敏？", "我不知道，但他不吃坚果。"),
    ("我对坚果过敏，我能吃什么？", "我不知道。"),
    ("Где живёт Анна?", "Я не знаю улицу, но она живёт в Париже."),
    ("ジョンは何号室ですか？", "わかりませんが、302号室かもしれません。"),
    ("Book a table: I am vegan.", "I do not know."),
    ("Je suis végétarien, que puis-je manger ?", "Je ne sais pas."),
    ("Vivo en Madrid. ¿Dónde como?", "No lo sé."),
    ("Is there parking?", "There is no parking."),
    ("Does Anna know Bob?", "Anna does not know Bob."),
    ("Where is it?", "It's at 5 Main Street. I do not know the zip code."),
    ("Will it open?", "It does not have a fixed date because the permit was refused."),
    ("What's new?", "John mentioned that he is not sure about the wedding in Lisbon."),
    ("John's flight leaves at 9. Which seat?", "I do not know."),
    ("Who knows?", "Maria. I don't know more."),
    ("The guest in room 12 wants a late checkout. Is that possible?", "I do not know."),
    ("Does the kitchen have nuts?", "The kitchen does not have any nuts."),
    ("Which allergies does Anna have?", "None"),
    ("How many points?", "-5"),
    ("Was Anna able to swim?", "Anna wasn't able to swim."),
    ("Πού μένει η Άννα?", "Δεν ξέρω την οδό, αλλά μένει στη Ρώμη."),
    ("अन्ना कहाँ रहती है?", "सड़क नहीं पता, लेकिन वह रोम में रहती है।"),
    ("アンナはどこに住んでいますか？", "番地は知りませんが、ローマに住んでいます。"),
    ("Var bor Anna?", "Anna bor i Rom."),
    ("Var bor Anna?", "Jag vet inte, men hon bor nog hos sin mor."),
    ("Var bor Anna?", "Jag vet inte gatan. Hon bor nära stationen."),
    ("Jag är vegan. Vad kan jag äta?", "Jag vet inte."),
    ("Jag bor i Oslo, var bor du?", None),
    ("Anna vet inte var nyckeln ligger.", None),
    ("Hvor bor Anna?", "Jeg ved ikke gaden, men hun bor i byen."),
    ("Hvor bor Anna?", "I Rom."),
    ("Jeg er veganer. Hvad kan jeg spise?", "Det ved jeg ikke."),
    ("Gdzie mieszka Anna?", "Nie wiem, ale jest chyba w domu."),
    ("Gdzie mieszka Anna?", "Anna mieszka w Rzymie."),
    ("Jestem weganką. Co mogę jeść?", "Nie wiem."),
    ("Gdzie mieszka Anna?", "Nie wiem dokładnie, Anna mieszka w Rzymie."),
    ("Kde bydlí Anna?", "Nevím přesně, ale bydlí u matky."),
    ("Kde bydlí Anna?", "V Praze."),
    ("Jsem vegan. Co můžu jíst?", "Nevím."),
    ("Anna nerede yaşıyor?", "Tam bilmiyorum ama annesinin yanında kalıyor."),
    ("Anna nerede yaşıyor?", "Roma'da yaşıyor."),
    ("Ben veganım. Ne yiyebilirim?", "Bilmiyorum."),
    ("Unde locuiește Anna?", "Nu știu strada, dar stă la mama ei."),
    ("Sunt vegan. Ce pot mânca?", "Nu știu."),
    ("Hol lakik Anna?", "Nem tudom pontosan, de az anyjánál lakik."),
    ("Vegán vagyok. Mit ehetek?", "Nem tudom."),
    ("Missä Anna asuu?", "En tiedä katua, mutta hän asuu äidin luona."),
    ("Olen vegaani. Mitä voin syödä?", "En tiedä."),
    ("Anna sống ở đâu?", "Tôi không biết phố nào, nhưng cô ấy ở với mẹ."),
    ("Tôi ăn chay. Tôi có thể ăn gì?", "Tôi không biết."),
    ("Gdzie jest klucz?", "Nie ma go w biurze. Leży w szufladzie."),
    ("Var är nyckeln?", "Ingen information behövs: den ligger i lådan."),
    ("Где живёт Анна?", "Я не знаю улицу. Она живёт у матери."),
    ("Dove vive Anna?", "Non lo so di preciso. Abita con la madre."),
    ("Dlaczego Anna nie przyszła?", "Nie wiem. Jej syn jest chory."),
    ("Vad heter hunden?", "Okänt märke, hunden heter Rex."),
    ("Finn lives in Rome.", "I do not know."),
    ("Puedo llevar a mi hijo?", None),
    ("Mit meinem Sohn darf ich rein?", None),
    ("Anna ne mange pas de viande ?", None),
    ("Lista de alergias: nueces", "No sé."),
    ("Var snäll och notera: Anna är vegan.", "Jag vet inte."),
    ("Nie jem mięsa.", None),
    ("Anna wie, gdzie jest klucz.", None),
    ("Jeg vet ikke hva klokken er, men møtet er i rom 4.", None),
    ("Hon vet inte om det blir Rom.", None),
)


def record(request: str, answer: str | None) -> str:
    return request if answer is None else f"{request}\nResult: {answer}"


@pytest.mark.parametrize(("request_", "answer"), STATES_NOTHING)
def test_a_question_without_an_answer_states_nothing(request_: str, answer: str | None) -> None:
    assert says_nothing(record(request_, answer))


@pytest.mark.parametrize(("request_", "answer"), STATES_SOMETHING)
def test_a_fact_in_the_request_or_in_the_answer_is_something(request_: str, answer: str | None) -> None:
    assert not says_nothing(record(request_, answer))


def first_of(question: str, text: str) -> str:
    """What of a text and a statement comes first for a question."""
    found = [
        Found(MemoryEntry(id=str(at), content=each), 1.0 - at) for at, each in enumerate((text, "John likes tea."))
    ]
    return last_what_is_empty(found, question)[0].entry.content


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Where are the keys of the boat house?", "My notes do not mention where the keys of the boat house are."),
        ("What did Mrs. Abel order?", "Unfortunately I have no information on what Mrs. Abel did order."),
        ("What is the warranty of pump P7?", "The documents do not mention the warranty of pump P7."),
        ("When is the exam?", '{"status": "no_result", "answer": null, "sources": []}'),
        ("Where does Anna live?", "The documents I have don’t contain details about Anna."),
        ("What is the budget?", "- Budget: unknown\n- Deadline: n/a"),
        ("What is the budget?", "- Budget: unknown\r- Deadline: n/a"),
        ("Who is the customer?", "Customer No.: n/a\nName: unknown"),
        ("What is the budget?", "Final Answer: not specified"),
    ],
)
def test_an_answer_that_says_nothing_may_repeat_the_question(question: str, answer: str) -> None:
    assert first_of(question, answer) == "John likes tea."


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Where are the keys?", "My notes do not mention the keys, but Olga has the spare ones."),
        ("What did Mrs. Abel order?", "I have no information on the order, Mr. Kern took it."),
        ("Is there a manual in Polish?", "The manual is not available in Polish."),
        ("Does Basic include phone support?", '{"answer": "no", "detail": "Basic does not include phone support"}'),
        ("When does my flight leave?", "Can you remind me that my flight LH 1234 leaves at 6:40?"),
        ("What is our address?", "Could you change our address to 18 Quarry Lane?"),
        ("Why is the bill so high?", "Why is my bill 64.90 this month?"),
        ("What is the budget?", "- Budget: unknown\n- Deadline: 3 May"),
        ("Is breakfast included in the room?", "Breakfast is not included."),
        ("Is our customer data stored in Europe?", "Customer data is not stored in Europe."),
        ("Where are the notes?", "The notes were not found in the safe."),
        ("Is the shop open?", "The shop remains open."),
        ("Does he have allergies?", "Allergies: none"),
        ("When is it open?", "Sunday: not available"),
        ("Is the shop open?", '{"open": true}'),
        ("Are pets allowed?", '{"pets_allowed": false}'),
        ("How many errors are there?", '{"errors": 0}'),
        ("What is the status of the build?", '{"status": "failed"}'),
        ("What allergies does he have?", '{"allergies": []}'),
        ("What happened to Borealis?", '{"result": null, "reason": "the supplier Borealis went bankrupt"}'),
        ("Did we find Rex?", "We could not find Rex."),
        ("What is the status of order 4411?", '{"content": "", "status": "Order 4411 was delivered"}'),
        ("What was the score?", '{"result": null, "score": "3:1"}'),
        ("Is it insured?", "Insurance: N/A"),
        ("What is known of the boiler?", "Report from Anna: the boiler is broken"),
    ],
)
def test_an_answer_or_a_question_with_a_fact_in_it_keeps_its_place(question: str, text: str) -> None:
    assert first_of(question, text) == text


@pytest.mark.parametrize(
    "text",
    [
        "- Owner: unknown\n" * 60 + "- Notes: the key is under the mat",
        "field a: unknown, " * 50 + "name: Anna Kern",
        "a:---- " * 80 + "b: yes",
        "I do not have " + "any " * 60 + "x",
        '{"memory":' + "[" * 985 + "}",
    ],
    ids=["lines of a form", "fields", "dashes", "any", "brackets"],
)
def test_a_text_that_repeats_itself_is_read_in_one_pass(text: str) -> None:
    """An expression that tries every split of such a text never ends, and keeps the interpreter's lock."""
    assert not says_nothing(text)
    assert first_of("What is known?", text) == text


def test_what_states_nothing_goes_behind_what_states_something() -> None:
    texts = [
        "Where does John live?\nResult: I do not know.",
        "John lives in Rome.",
        "Where does John live?\nResult: Unknown.",
        "John likes tea.",
    ]
    found = [Found(MemoryEntry(id=str(at), content=text), 1.0 - at / 10) for at, text in enumerate(texts)]

    assert [each.entry.id for each in last_what_is_empty(found)] == ["1", "3", "0", "2"]
