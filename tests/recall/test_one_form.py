"""Two statements about one thing, in many wordings: a new value comes first, and what stands beside keeps its place."""

from __future__ import annotations

from typing import Final

import pytest

from .test_opposites import given

CHANGED: Final = (
    ("Where do I park?", "I park in garage B.", "My parking spot is now in garage D."),
    ("What is the name of Paul's dog?", "Paul's dog is called Rex.", "Paul's dog is called Bello."),
    ("What time is the standup?", "The standup is at 9:00.", "The standup is at 9:30."),
    ("How much does Ida earn?", "Ida earns 4,000 euros.", "Ida earns 4,600 euros."),
    ("How much does Ida earn?", "Ida earns 4,000 euros.", "Ida got a raise to 4,600 euros."),
    ("What is the version of the SDK?", "The SDK is at version 2.3.", "The SDK is at version 3.0."),
    ("Which framework does the frontend use?", "The frontend uses React.", "The frontend was rewritten in Svelte."),
    ("Who is the landlord?", "The landlord is Mr. Huber.", "The landlord is Mrs. Lang."),
    ("What is the gate of flight LH 123?", "The gate of flight LH 123 is A12.", "The gate of flight LH 123 is B4."),
    ("When does the train leave?", "The train leaves at 10:15.", "The train leaves at 10:40."),
    ("How tall is Max?", "Max is 120 cm tall.", "Max is 126 cm tall."),
    ("How much does Max weigh?", "Max weighs 30 kg.", "Max weighs 33 kg."),
    ("What is Anna's surname?", "Anna's surname is Kern.", "Anna's surname is Roth since the wedding."),
    ("What is Anna's job?", "Anna is a nurse.", "Anna is a teacher now."),
    ("What does Anna do for a living?", "Anna works as a nurse.", "Anna works as a teacher."),
    ("Which team does Omar support?", "Omar supports Arsenal.", "Omar supports Chelsea now."),
    ("What is my budget for the trip?", "My budget for the trip is 500 euros.", "My budget for the trip is 700 euros."),
    ("How many seats do we need?", "We need 12 seats.", "We need 15 seats."),
    ("Which hotel are we staying at?", "We are staying at the Ritz.", "We are staying at the Hilton."),
    ("When do you come back?", "I come back on Sunday.", "I come back on Monday."),
    ("Where is the party?", "The party is at Mia's place.", "The party is at the club."),
    ("Who picks up the kids?", "Karl picks up the kids.", "Eva picks up the kids."),
    ("What is the dress code?", "The dress code is casual.", "The dress code is formal."),
    ("What is the exchange rate of the dollar?", "The dollar is at 0.92 euros.", "The dollar is at 0.95 euros."),
    ("How many points does Team Red have?", "Team Red has 10 points.", "Team Red has 13 points."),
    ("What is the temperature limit?", "The temperature limit is 30 degrees.", "The temperature limit is 28 degrees."),
    ("Which school does Mia go to?", "Mia goes to Lincoln School.", "Mia goes to Jefferson School."),
    ("Who is my doctor?", "My doctor is Dr. Weber.", "My doctor is Dr. Chen."),
    ("Which size does Bob wear?", "Bob wears size M.", "Bob wears size L."),
    (
        "What is the shipping address?",
        "The shipping address is 5 Main Street.",
        "The shipping address is 9 Oak Street.",
    ),
    ("What is the return policy?", "Returns are accepted within 14 days.", "Returns are accepted within 30 days."),
    ("How long is the warranty?", "The warranty is two years.", "The warranty is three years."),
    ("Is Eva coming to the party?", "Eva is coming to the party.", "Eva cancelled, she is not coming to the party."),
    ("Does the flat have a balcony?", "The flat has a balcony.", "The flat has no balcony."),
    ("Can Tim swim?", "Tim cannot swim.", "Tim can swim."),
    ("Does Tim have a licence?", "Tim has no licence.", "Tim got his licence."),
    ("Is the server up?", "The server is down.", "The server is up again."),
    ("Was the order delivered?", "The order has not been delivered.", "The order has been delivered."),
    ("What is the score?", "The score is 1:0.", "The score is 2:1."),
    ("Wer ist der Klassenlehrer?", "Der Klassenlehrer ist Herr Maier.", "Der Klassenlehrer ist Herr Vogt."),
    ("Wann ist der Arzttermin?", "Der Arzttermin ist am 3. Mai.", "Der Arzttermin ist am 10. Mai."),
    ("Wann ist der Arzttermin?", "Der Arzttermin ist am Montag.", "Der Arzttermin ist am Mittwoch."),
    ("Wie alt ist Opa?", "Opa ist 80 Jahre alt.", "Opa ist 81 Jahre alt."),
    ("Quel est le code de la porte ?", "Le code de la porte est 1234.", "Le code de la porte est 9876."),
    ("¿Cuánto cuesta la entrada?", "La entrada cuesta 10 euros.", "La entrada cuesta 12 euros."),
    ("Quanto costa il biglietto?", "Il biglietto costa 10 euro.", "Il biglietto costa 12 euro."),
    ("Hoe laat begint de les?", "De les begint om 9 uur.", "De les begint om 10 uur."),
    ("Ile kosztuje bilet?", "Bilet kosztuje 10 zł.", "Bilet kosztuje 12 zł."),
    (
        "What is in the shopping list?",
        "The shopping list is milk, bread, eggs.",
        "The shopping list is milk, bread, butter.",
    ),
    ("Who are the participants?", "The participants are Ali, Bea and Carl.", "The participants are Ali, Bea and Dora."),
    ("What is on the menu today?", "The menu today is pasta.", "The menu today is risotto."),
    ("Which day is the yoga class?", "The yoga class is on Monday.", "The yoga class is on Thursday."),
    ("When is Omar free?", "Omar is free on Monday.", "Omar is free on Tuesday."),
)

BOTH_HOLD: Final = (
    ("What does Omar drink?", "Omar drinks coffee in the morning.", "Omar drinks tea in the evening."),
    ("Which shifts does Moe work?", "Moe works on Saturday morning.", "Moe works on Sunday evening."),
    ("What does Anna eat for breakfast?", "Anna eats muesli for breakfast.", "Anna eats soup for lunch."),
    ("Who is on call in May?", "Ali is on call in May.", "Bea is on call in June."),
    ("What is the price of the small tent?", "The small tent costs 90 euros.", "The big tent costs 140 euros."),
    ("What is the code of door A?", "The code of door A is 1234.", "The code of door B is 9876."),
    ("What is the population of Graz?", "Graz has 300,000 inhabitants.", "Linz has 210,000 inhabitants."),
    ("Where was Anna born?", "Anna was born in Rome.", "Anna works in Paris."),
    ("When was Anna born?", "Anna was born in 1990.", "Anna was promoted in 2020."),
    ("Which books did Max read?", "Max read Dune.", "Max read Emma."),
    ("Which cities has Eva visited?", "Eva visited Rome in 2019.", "Eva visited Oslo in 2021."),
    ("Who are Anna's children?", "Anna's son is called Tim.", "Anna's daughter is called Lea."),
    (
        "What is the phone number of the reception?",
        "The reception has the number 100.",
        "The kitchen has the number 200.",
    ),
    ("What are the ingredients?", "The cake contains eggs.", "The cake contains nuts."),
    (
        "What did the customer complain about?",
        "The customer complained about the noise.",
        "The customer complained about the price.",
    ),
    ("Which issues are open?", "Issue 12 is open.", "Issue 15 is open."),
    ("What does Lea like?", "Lea likes horses.", "Lea likes swimming."),
    ("What is Karl afraid of?", "Karl is afraid of spiders.", "Karl is afraid of heights."),
    ("Which tools does the team use?", "The team uses Jira.", "The team uses Slack."),
    ("Which languages does Ana speak?", "Ana speaks Dutch.", "Ana speaks Greek."),
    ("Which pets does Ana have?", "Ana has a dog.", "Ana has two cats."),
    ("What is the birthday of Ali?", "Ali's birthday is May 3.", "Bea's birthday is June 7."),
    ("Where is the kitchen?", "The kitchen is on floor 2.", "The lobby is on floor 1."),
    ("When is Christmas dinner?", "The Christmas dinner is at 19:00.", "The New Year dinner is at 20:00."),
    ("How much is the parking fee?", "The parking fee is 5 euros per day.", "The late fee is 10 euros per day."),
    (
        "What is the deadline of project Alpha?",
        "The deadline of project Alpha is May 1.",
        "The deadline of project Beta is June 1.",
    ),
    ("How many users does the German site have?", "The German site has 100 users.", "The French site has 250 users."),
    ("Who wrote chapter 1?", "Ali wrote chapter 1.", "Bea wrote chapter 2."),
    ("What is Anna's work email?", "Anna's work email is anna@acme.com.", "Anna's private email is anna@web.de."),
    ("What is the height of the tower?", "The tower is 80 m high.", "The tower is 12 m wide."),
    ("What is the weight of the parcel?", "The parcel weighs 3 kg.", "The parcel costs 12 euros."),
    ("Who won in 2020?", "Ali won in 2020.", "Bea won in 2021."),
    ("What was the revenue in 2022?", "The revenue in 2022 was 3 million.", "The revenue in 2023 was 4 million."),
    (
        "What was the revenue in March?",
        "The revenue in March was 30,000 euros.",
        "The revenue in April was 41,000 euros.",
    ),
    ("Which bus goes to the airport?", "Bus 10 goes to the airport.", "Bus 12 goes to the harbour."),
    ("How do I get to the office?", "Take bus 10 to the office.", "Take bus 12 to the warehouse."),
    ("What is John's allergy?", "John is allergic to nuts.", "Johnny is allergic to milk."),
    ("What does the premium plan include?", "The premium plan includes support.", "The premium plan includes backups."),
    ("Wie heißt die Mutter von Max?", "Die Mutter von Max heißt Eva.", "Der Vater von Max heißt Karl."),
    ("Wo wohnt Annas Bruder?", "Annas Bruder wohnt in Rom.", "Annas Schwester wohnt in Paris."),
    ("Où travaille Marie ?", "Marie travaille à Lyon.", "Marie habite à Paris."),
    ("¿Dónde trabaja Luis?", "Luis trabaja en Madrid.", "Luis nació en Sevilla."),
    ("Wann ist Training?", "Montags ist Training um 18 Uhr.", "Mittwochs ist Training um 19 Uhr."),
    ("What is the opening time on Saturday?", "On Saturday we open at 9.", "On Sunday we open at 11."),
    ("What did we decide about the logo?", "We decided that the logo is blue.", "We decided that the font is Arial."),
    ("What is Tom's blood type?", "Tom's blood type is A.", "Tom's shoe size is 43."),
    ("Where did we have lunch on Monday?", "On Monday we had lunch at Gino's.", "On Tuesday we had lunch at Wok."),
    ("What is the status of ticket 42?", "Ticket 42 is open.", "Ticket 43 is done."),
    ("Who is the contact at Acme?", "The contact at Acme is Bea.", "The contact at Globex is Carl."),
    ("What is the temperature in the freezer?", "The freezer is at -18 degrees.", "The fridge is at 6 degrees."),
    ("What is the dose for adults?", "The dose for adults is 20 mg.", "The dose for children is 5 mg."),
    ("What is the VAT rate in Germany?", "The VAT rate in Germany is 19%.", "The VAT rate in Austria is 20%."),
    ("What colour is the left cable?", "The left cable is red.", "The right cable is blue."),
    ("What is the check-in time?", "Check-in is at 15:00.", "Check-out is at 11:00."),
    ("What size is the living room?", "The living room has 30 square metres.", "The bedroom has 14 square metres."),
)


@pytest.mark.parametrize(("question", "older", "newer"), CHANGED)
def test_a_new_value_comes_first(question: str, older: str, newer: str) -> None:
    assert given(question, older, newer) == [newer, older]


@pytest.mark.parametrize(("question", "older", "newer"), BOTH_HOLD)
def test_what_stands_beside_keeps_its_place(question: str, older: str, newer: str) -> None:
    assert given(question, older, newer) == [older, newer]
