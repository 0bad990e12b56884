"""What every task of a crew has in common is not the question."""

from __future__ import annotations

from typing import Final

import pytest

from crewai_persistent_memory.recall.question import LEAST_QUERIES, EarlierQueries, question_in

QUESTION: Final = "Which seat does Anna like?"


@pytest.mark.parametrize(
    "description",
    [
        QUESTION,
        f"{QUESTION} Answer the question above with what you remember from past conversations.",
        f"You are a friendly assistant of an airline. Use what you know. Answer in one short sentence: {QUESTION}",
        f"You help our customers. A customer asks a question: {QUESTION} Look through your memories and answer.",
        f'Please reply to the message "{QUESTION}" in a friendly tone. If you do not know the answer, say so.',
        f"Answer the user's question from memory.\n\nQuestion: {QUESTION}\n\nKeep the answer short.",
        f"1. Look at the request: {QUESTION}\n2. Check the details of your answer.\n3. Write a short report.",
        f"Beantworte die folgende Frage des Nutzers: {QUESTION} Antworte kurz und freundlich.",
    ],
)
def test_a_question_is_found_in_a_description_that_nobody_has_seen_before(description: str) -> None:
    assert question_in(description) == QUESTION


@pytest.mark.parametrize(
    ("description", "asked"),
    [
        ("Tu es un concierge. Réponds brièvement à la question du client : Où habite Marie ?", "Où habite Marie ?"),
        ("Beantworte die Frage des Gastes kurz: Wo wohnt Anna?", "Wo wohnt Anna?"),
        ("Responde al cliente con amabilidad. Pregunta: ¿Dónde vive Marta?", "¿Dónde vive Marta?"),
        ("请用一句话回答客人的问题：约翰对什么过敏？", "约翰对什么过敏？"),
        ("お客様の質問に一文で答えてください：ジョンは何が好きですか？", "ジョンは何が好きですか？"),
        ("Ответь на вопрос гостя: где живёт Анна?", "где живёт Анна?"),
        ("고객의 질문에 답하세요: 안나는 어디에 살고 있나요?", "안나는 어디에 살고 있나요?"),
    ],
)
def test_a_question_in_another_language(description: str, asked: str) -> None:
    assert question_in(description) == asked


@pytest.mark.parametrize(
    "description", ["", "?", " \n ", "42", "{", "{question}", "SELECT name FROM guests WHERE room = 2"]
)
def test_what_has_no_question_counts_as_it_is(description: str) -> None:
    assert question_in(description) == description


def test_what_is_told_beside_the_question_counts_too() -> None:
    asked = question_in("Bob is vegan and stays in room 12. What can he eat? Answer the guest in one sentence.")

    assert "What can he eat?" in asked
    assert "vegan" in asked
    assert "one sentence" not in asked


def test_a_question_about_the_task_itself_does_not_stand_for_it() -> None:
    asked = question_in("Draft a letter to Anna about the late delivery of the sofa. Is it polite?")

    assert "late delivery" in asked
    assert "sofa" in asked


def test_a_question_without_a_question_mark_loses_the_words_that_tell_how_to_work() -> None:
    assert question_in("Find out the following for the user: the seat that Anna likes. Use your memory.") == (
        "out the for the the seat that Anna likes."
    )


def test_inputs_are_the_question_and_the_template_is_not() -> None:
    template = "You serve {name} at the airport of Rome. Request: {request} Answer shortly."
    query = template.format(name="John", request="a seat at the window, please")

    assert question_in(query, template=template) == "John\na seat at the window, please"


def test_inputs_that_are_names_only_do_not_stand_for_the_request() -> None:
    template = "Estimate the market of {company}"

    assert question_in("Estimate the market of Acme", template=template) == "Estimate the market of Acme"


def test_a_description_that_was_changed_after_the_inputs_counts_as_it_is() -> None:
    assert question_in("Something else about Anna", template="Answer {question} now") == "Something else about Anna"


def test_crewais_words_and_the_agents_are_no_question() -> None:
    query = (
        "Current Task: compare the rooms in Rome with those in Oslo\n"
        "This is the expected criteria for your final answer: a table\n"
        "you MUST return the actual complete content as the final answer, not a summary. Head of Travel"
    )

    asked = question_in(query, wording=["Head of Travel"])

    assert "MUST" not in asked
    assert "Travel" not in asked
    assert "rooms in Rome" in asked


def test_words_of_all_earlier_queries_are_left_out() -> None:
    earlier = EarlierQueries()
    frame = "Concerning the archive of the old lighthouse company, look into this matter: {}"
    topics = ["boats", "ropes", "lamps", "sails", "masts", "nets", "oars", "keels"]
    for topic in topics:
        common = earlier.common_words("crew", frame.format(f"the {topic} of captain {topic.title()}"))

    assert "lighthouse" in common
    assert question_in(frame.format("the keels of captain Keels"), common=common) == "keels Keels"


def test_a_few_queries_or_the_same_one_again_tell_nothing() -> None:
    earlier = EarlierQueries()
    for number in range(LEAST_QUERIES):
        assert earlier.common_words("crew", f"The seat of guest {number}") == frozenset()
    assert earlier.common_words("crew", "The seat of guest 0") == frozenset()


def test_queries_of_another_crew_do_not_count() -> None:
    earlier = EarlierQueries(crews=2)
    for number in range(20):
        earlier.common_words("one", f"The seat of guest {number}")

    assert earlier.common_words("another", "The seat of guest 99") == frozenset()
    assert "seat" in earlier.common_words("one", "The seat of guest 99")


@pytest.mark.parametrize("query", ["", "   ", "?", "Answer the question of the user.", "You are an assistant."])
def test_if_nothing_remains_the_whole_text_counts(query: str) -> None:
    assert question_in(query) == query


def test_questions_inside_of_long_material_are_not_what_is_asked() -> None:
    material = "Summarise the minutes. " + "Who spoke first? The mayor of Rome spoke about the harbour. " * 200

    assert question_in(material) == material.strip()


@pytest.mark.parametrize(
    "asked",
    [
        [
            "Do you know the code of the lobby safe?",
            "Which code opens the safe in the lobby?",
            "Tell me the safe code of the lobby.",
            "Please find out the code of the safe in the lobby.",
            "Has the lobby safe a code?",
            "What is the code of the safe in the lobby?",
        ],
        [
            "Which airline is my flight to Oslo with?",
            "Can I cancel my flight to Oslo?",
            "Tell me about my flight to Oslo.",
            "How long is my flight to Oslo?",
            "Who sits beside me on my flight to Oslo?",
            "Is my flight to Oslo late?",
            "Tell me the gate of my flight to Oslo.",
        ],
    ],
    ids=["safe", "flight"],
)
def test_several_questions_about_one_thing_keep_it(asked: list[str]) -> None:
    earlier = EarlierQueries()
    found = [question_in(each, common=earlier.common_words("crew", each)) for each in asked]
    assert len(found) > LEAST_QUERIES
    for each in found[LEAST_QUERIES:]:
        assert {"safe", "lobby"} <= set(each.lower().rstrip("?.").split()) or "flight to Oslo" in each, each
