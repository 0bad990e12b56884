"""An entry that states nothing goes behind those that state something, and nothing else is moved."""

from __future__ import annotations

from typing import Final

import pytest

from crewai_persistent_memory.entry import MemoryEntry
from crewai_persistent_memory.recall.empty import last_what_is_empty, says_nothing
from crewai_persistent_memory.recall.found import Found

STATES_NOTHING: Final = (
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
)

STATES_SOMETHING: Final = (
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
)


def record(request: str, answer: str | None) -> str:
    return request if answer is None else f"{request}\nResult: {answer}"


@pytest.mark.parametrize(("request_", "answer"), STATES_NOTHING)
def test_a_question_without_an_answer_states_nothing(request_: str, answer: str | None) -> None:
    assert says_nothing(record(request_, answer))


@pytest.mark.parametrize(("request_", "answer"), STATES_SOMETHING)
def test_a_fact_in_the_request_or_in_the_answer_is_something(request_: str, answer: str | None) -> None:
    assert not says_nothing(record(request_, answer))


def test_what_states_nothing_goes_behind_what_states_something() -> None:
    texts = [
        "Where does John live?\nResult: I do not know.",
        "John lives in Rome.",
        "Where does John live?\nResult: Unknown.",
        "John likes tea.",
    ]
    found = [Found(MemoryEntry(id=str(at), content=text), 1.0 - at / 10) for at, text in enumerate(texts)]

    assert [each.entry.id for each in last_what_is_empty(found)] == ["1", "3", "0", "2"]
