"""Short facts that are asked after in other words, among facts of the same kind about other people."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from ..cases import Cases, Evidence, Memory, Owner, Question

_PAIRS = (
    ("Nora is allergic to peanuts.", "Which foods must never be on Nora's plate?"),
    ("Nora drives a small electric car.", "How does Nora get to work?"),
    ("Nora's flat is on the fourth floor without a lift.", "Why would moving a piano into Nora's home be hard?"),
    ("Nora works as a nurse on the night shift.", "What is Nora's profession?"),
    ("Nora goes running along the river every morning.", "What exercise does Nora do?"),
    ("Nora has two daughters, Mia and Lea.", "What are the names of Nora's children?"),
    ("Nora was born in Lisbon.", "Which city does Nora come from?"),
    ("Nora's landlord raises the rent in April.", "When will housing become more expensive for Nora?"),
    ("Nora gets seasick on ships.", "Would a cruise be a good holiday for Nora?"),
    ("Nora studied chemistry at university.", "What did Nora major in?"),
    ("Nora sold her motorbike to a neighbour.", "Does Nora still own a two-wheeled vehicle?"),
    ("Nora is afraid of spiders.", "Which animal frightens Nora?"),
    ("Omar quit smoking last year.", "Did Omar give up cigarettes?"),
    ("Omar reads crime novels before going to sleep.", "What kind of books does Omar like at bedtime?"),
    ("Omar's dog is called Bruno.", "What is the name of Omar's pet?"),
    ("Omar cannot stand cilantro.", "Which herb should be left out of Omar's dish?"),
    ("Omar plays the cello in an orchestra.", "Which instrument does Omar perform on?"),
    ("Omar wakes up at five o'clock.", "Is Omar an early riser?"),
    ("Omar pays with cash only.", "Would Omar use a credit card in a shop?"),
    ("Omar broke his left arm while skiing.", "What injury did Omar have in the snow?"),
    ("Omar's wife is a judge.", "What does Omar's spouse do for a living?"),
    ("Omar is learning Portuguese.", "Which language is Omar taking lessons in?"),
    ("Omar's laptop was stolen on the train.", "What did Omar lose while travelling?"),
    ("Omar grows tomatoes on his balcony.", "Which vegetables does Omar plant at home?"),
    ("The invoices are sent on the first Monday of the month.", "When do customers get their bills?"),
    ("The office closes at noon on Fridays.", "How late can one reach the team before the weekend?"),
    ("The warehouse moved to Rotterdam.", "Where are the goods kept now?"),
    ("The database is copied every six hours.", "How often are backups made?"),
    ("The contract with the cleaning firm ends in June.", "Until when is the janitorial service hired?"),
    ("The new logo is dark green.", "What colour is the company's emblem?"),
    ("Refunds are granted within thirty days.", "How long can a buyer ask for the money back?"),
    ("The lift is out of order until Thursday.", "Why must visitors take the stairs?"),
    ("The website runs on three servers in Frankfurt.", "Where are the machines that host the homepage?"),
    ("Overtime is paid at one and a half times the wage.", "What does one earn for extra hours?"),
    ("The printer on the second floor jams when it is humid.", "Which device has trouble in damp weather?"),
    ("The head of sales retires in autumn.", "Who is leaving the company for the pension?"),
    ("Passwords expire after ninety days.", "How often do employees have to change their login secret?"),
    ("Parcels over twenty kilos go by truck.", "How are heavy packages shipped?"),
    ("The canteen serves fish on Wednesdays.", "On which day is there seafood for lunch?"),
    ("The test environment is reset every night.", "When does the staging system lose its data?"),
    ("Priya prefers tea to coffee.", "What hot drink should be offered to Priya?"),
    ("Priya lives with her grandmother.", "Who shares a home with Priya?"),
    ("Priya's birthday is on the third of March.", "When should we congratulate Priya?"),
    ("Priya wants to buy a house near the coast.", "Where does Priya hope to own property?"),
    ("Priya is colour-blind.", "Why should charts for Priya not depend on red and green?"),
    ("Priya earns money by translating manuals.", "What is Priya's source of income?"),
    ("Priya had an operation on her knee.", "Which joint of Priya was treated in hospital?"),
    ("Priya is a vegetarian.", "Does Priya eat meat?"),
    ("Priya's passport expires in August.", "Until when can Priya travel abroad?"),
    ("Priya hates being phoned before ten.", "When should one not call Priya?"),
    ("Priya collects old maps.", "What is Priya's hobby?"),
    ("Priya's brother lives in Toronto.", "Which relative of Priya is in Canada?"),
    ("Tom wears size forty-four shoes.", "How big are Tom's feet?"),
    ("Tom failed his driving test twice.", "Does Tom have a licence for a car?"),
    ("Tom sings in a choir on Tuesdays.", "What does Tom do musically during the week?"),
    ("Tom saves for a trip to Iceland.", "What journey is Tom putting money aside for?"),
    ("Tom's doctor told him to avoid salt.", "What should be missing from Tom's meals for his health?"),
    ("Tom was promoted to team lead.", "Did Tom's position at work change?"),
    ("Tom sleeps badly when the moon is full.", "When does Tom suffer from insomnia?"),
    ("Tom repairs clocks in his garage.", "What does Tom tinker with at home?"),
)

_PEOPLE = ("Ada", "Ben", "Carla", "Deniz", "Elsa", "Finn", "Gita", "Hugo", "Iris", "Jonas", "Kaya", "Luis")
_ABOUT_OTHERS = (
    "{name} enjoys {thing} at the weekend.",
    "{name} asked the team for help with {thing}.",
    "{name} said that {thing} was the best part of the year.",
    "{name} spends two hours a week on {thing}.",
    "{name} will talk about {thing} at the next meeting.",
    "{name} gave up {thing} a while ago.",
)
_THINGS = (
    "painting", "the garden", "chess", "the tax forms", "cooking for friends", "the swimming club", "old films",
    "the choir", "mending bicycles", "the budget", "hiking", "the office party", "baking bread", "the new phones",
    "bird watching", "the survey",
)  # fmt: skip


def cases() -> Cases:
    chance = random.Random(11)
    facts = [fact for fact, _ in _PAIRS]
    others = [
        form.format(name=name, thing=thing)
        for name in _PEOPLE
        for thing in _THINGS
        for form in chance.sample(_ABOUT_OTHERS, 3)
    ]
    keyed = [(f"fact-{at}", fact) for at, fact in enumerate(facts)] + [(f"o-{at}", o) for at, o in enumerate(others)]
    chance.shuffle(keyed)
    start = datetime(2026, 1, 5, 9)
    memories = tuple(Memory(key, text, start + at * timedelta(hours=7)) for at, (key, text) in enumerate(keyed))
    questions = tuple(Question(question, (Evidence(f"fact-{at}", fact),)) for at, (fact, question) in enumerate(_PAIRS))
    return Cases("reworded", "short facts, asked after in other words", (Owner("team", memories, questions),))
