"""The value of an older statement is over: "RabbitMQ has been replaced", "Rex died", "Bella broke up with Carl"."""

from __future__ import annotations

from typing import Final

import pytest

from crewai_persistent_memory.recall.end_phrases import IN_PLACE_OF, IS_OVER, LEAVES, WORDS
from crewai_persistent_memory.recall.looks import look_at

from .test_opposites import given


@pytest.mark.parametrize(
    ("question", "older", "newer"),
    [
        ("Which message queue do we use?", "The queue is RabbitMQ.", "RabbitMQ has been replaced with NATS."),
        (
            "Which tool do we track tasks in?",
            "Tasks are tracked in Trellis.",
            "The team said goodbye to Trellis and plans everything in Linearly.",
        ),
        (
            "Which payment gateway do we use?",
            "The payment gateway is PayLark.",
            "Checkout now goes through Stripeling instead of PayLark.",
        ),
        ("Who is our CEO?", "Our CEO is Laura Stein.", "Laura Stein has stepped down."),
        ("Who is our CEO?", "Our CEO is Laura Stein.", "Mark Weber replaced Laura Stein as CEO."),
        ("Which bank do we use?", "Our bank is Nordea.", "We left Nordea for Handelsbanken."),
        ("Does Max have a dog?", "Max has a dog named Rex.", "Max's dog Rex died in May."),
        ("Is Bella in a relationship?", "Bella is in a relationship with Carl.", "Bella broke up with Carl."),
        ("What does Julia do?", "Julia is a student at MIT.", "Julia graduated from MIT and works at Google."),
        ("Which car does Peter drive?", "Peter drives a Volvo.", "He sold the Volvo yesterday."),
        (
            "Which medication does Henry take?",
            "Henry's blood pressure medication is ramipril.",
            "Henry was switched from ramipril to candesartan.",
        ),
        ("Wer ist unser Lieferant?", "Unser Lieferant ist Holzmann.", "Holzmann wurde durch Brettner ersetzt."),
        ("Quel est notre hébergeur ?", "Notre hébergeur est Ovaline.", "Ovaline a été remplacé par Clairnet."),
        ("¿Cuál es nuestro banco?", "Nuestro banco es Solar.", "Solar fue reemplazado por Lumen."),
    ],
)
def test_the_statement_that_ends_it_comes_first(question: str, older: str, newer: str) -> None:
    assert given(question, older, newer)[0] == newer


@pytest.mark.parametrize(
    ("question", "older", "newer"),
    [
        ("Which car does Peter drive?", "Peter drives a Volvo.", "Karl sold his Volvo."),
        ("Which car does Peter drive?", "Peter drives a Volvo.", "The mechanic replaced the Volvo's battery."),
        ("What is Anna's favourite band?", "Anna's favourite band is Muse.", "Anna sold her Muse records."),
        ("What does Nora play?", "Nora plays the piano.", "Nora sold the piano stool."),
        ("Where does Lisa live?", "Lisa lives in Hamburg.", "Lisa left Hamburg for a week."),
        ("Where does Tom work?", "Tom works at Siemens.", "Tom's brother left Siemens."),
        ("Where does Tom work?", "Tom works at Siemens.", "Tom wants to quit Siemens."),
        ("Where does Anna live?", "Anna lives in Rome.", "Rome is over 2,700 years old."),
        ("What does the shop sell?", "The shop sells bread.", "The shop sold bread to 40 people."),
        ("What does the cache use?", "We use Redis for caching.", "Acme replaced Redis with Valkey."),
        ("Who wrote the parser?", "Ada wrote the parser.", "Ada resigned."),
        ("Who founded the company?", "The company was founded by Ann Lee.", "Ann Lee left the company."),
        ("Who is Lisa's brother?", "Lisa's brother is Tom.", "Anna succeeded Tom as head of sales."),
        ("Who is Lisa's brother?", "Lisa's brother is Tom.", "Tom resigned."),
        ("Who is our CEO?", "Our CEO is Laura Stein.", "Laura Stein resigned as chair of the golf club."),
        ("Where do deliveries go?", "Deliveries go to Hall 4.", "The forklift in Hall 4 was sold."),
        ("What is Ben's password manager?", "Ben's password manager is Bitwarden.", "Zoe stopped using Bitwarden."),
    ],
)
def test_what_ends_something_else_moves_nothing(question: str, older: str, newer: str) -> None:
    assert given(question, older, newer)[0] == older


OF_EACH_WORD: Final = """
    |instead of |in place of |in lieu of |rather than |replace |replaces |replaced |replacing |succeeds |succeeded
    |supersedes |superseded |superseding |displaced |overtook |took over from |anstelle von |anstatt |statt |ersetzte
    |remplace |a remplacé |au lieu de |en lugar de |sustituye a |reemplazó a |left |leaves |leaving |quit |quits
    |quitting |dropped |drops |ditched |abandoned |scrapped |sold |finished |lost |fired |dismissed |uninstalled
    |cancelled |canceled |divorced |gave up |given up |got rid of |threw out |let go of |phased out |broke up with
    |split from |parted ways with |goodbye to |resigned from |retired from |graduated from |separated from
    |withdrew from |unsubscribed from |went from |moved away from |switched from |migrated from |changed from
    |transferred out of |relocated from |pulled out of |cleared out of |stopped using |stops eating
    |trennte sich von |verließ |verkaufte |kündigte bei |a quitté |a vendu |dejó |vendió
    | was discontinued| was decommissioned| was removed| was deleted| was dissolved| was disbanded| was terminated
    | was shut down| is gone| is dead| is over| is history| is obsolete| wurde abgelöst| wurde abgeschafft
    | wurde ersetzt| wurde eingestellt| wurde verkauft| ist gestorben| est vendue| est remplacée| a été supprimé
    | a été supprimée| est mort| est morte| fue reemplazado| fue reemplazada| fue sustituido| fue sustituida
    | fue vendido| fue vendida| died| passed away| stepped down| departed| lapsed| starb| murió| ha muerto
"""


def test_each_word_of_an_end_is_looked_for() -> None:
    phrases = [each.replace("\n", "").strip("\n") for each in OF_EACH_WORD.split("|")][1:]
    for phrase in phrases:
        text = f"{phrase.strip()} it" if phrase[0] != " " else f"it {phrase.strip()}"
        assert IN_PLACE_OF.search(text) or LEAVES.search(text) or IS_OVER.search(text), text
        assert look_at[text].may_end, text
    assert {word for phrase in phrases for word in phrase.split()} & WORDS == WORDS
