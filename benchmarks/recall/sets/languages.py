"""Short facts of one user in several languages. Each question is in the language of its fact."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..cases import Cases, Evidence, Memory, Owner, Question

_FACTS: dict[str, tuple[tuple[str, str], ...]] = {
    "German": (
        ("Frau Keller verträgt keine Milchprodukte.", "Was verträgt Frau Keller nicht?"),
        ("Herr Brandt wohnt seit Mai in Leipzig.", "Wo wohnt Herr Brandt?"),
        ("Die Rechnungen gehen immer am Monatsende raus.", "Wann werden die Rechnungen verschickt?"),
        ("Unser Lager ist von Köln nach Bremen umgezogen.", "Wohin ist das Lager gezogen?"),
        ("Frau Keller liest am liebsten historische Romane.", "Welche Bücher mag Frau Keller?"),
        ("Die Kantine hat freitags geschlossen.", "An welchem Tag schließt die Kantine?"),
        ("Herr Brandt spielt Trompete in einer Blaskapelle.", "Welches Instrument spielt Herr Brandt?"),
        ("Der Aufzug wird im Oktober erneuert.", "Wann bekommt das Haus einen neuen Aufzug?"),
        ("Das Passwort für den Gastzugang wird wöchentlich geändert.", "Wie oft ändert sich das Passwort der Gäste?"),
        ("Die Katze von Frau Keller heißt Minka.", "Wie heißt die Katze?"),
        ("Herr Brandt hat Höhenangst.", "Wovor hat Herr Brandt Angst?"),
        ("Der Parkplatz kostet vierzig Euro im Monat.", "Was kostet ein Parkplatz monatlich?"),
    ),
    "French": (
        ("Madame Dubois ne supporte pas le lactose.", "Qu'est-ce que Madame Dubois ne supporte pas ?"),
        ("Monsieur Lefèvre habite à Nantes depuis le printemps.", "Où habite Monsieur Lefèvre ?"),
        ("Les factures partent le dernier jour du mois.", "Quand les factures sont-elles envoyées ?"),
        ("L'entrepôt a déménagé de Lyon à Dijon.", "Où se trouve maintenant l'entrepôt ?"),
        ("Madame Dubois adore les romans historiques.", "Quels livres Madame Dubois aime-t-elle ?"),
        ("La cantine est fermée le vendredi.", "Quel jour la cantine est-elle fermée ?"),
        ("Monsieur Lefèvre joue de la trompette dans une fanfare.", "De quel instrument joue Monsieur Lefèvre ?"),
        ("L'ascenseur sera remplacé en octobre.", "Quand aurons-nous un nouvel ascenseur ?"),
        ("Le mot de passe des invités change chaque semaine.", "À quelle fréquence change le mot de passe ?"),
        ("Le chat de Madame Dubois s'appelle Minou.", "Comment s'appelle le chat ?"),
        ("Monsieur Lefèvre a le vertige.", "Pourquoi Monsieur Lefèvre évite-t-il les échelles ?"),
        ("Une place de parking coûte quarante euros par mois.", "Combien coûte le parking ?"),
    ),
    "Spanish": (
        ("La señora Ruiz no tolera la lactosa.", "¿Qué no tolera la señora Ruiz?"),
        ("El señor Vega vive en Zaragoza desde mayo.", "¿Dónde vive el señor Vega?"),
        ("Las facturas se envían el último día del mes.", "¿Cuándo se mandan las facturas?"),
        ("El almacén se trasladó de Bilbao a Burgos.", "¿Dónde está ahora el almacén?"),
        ("A la señora Ruiz le gustan las novelas históricas.", "¿Qué libros le gustan a la señora Ruiz?"),
        ("El comedor cierra los viernes.", "¿Qué día está cerrado el comedor?"),
        ("El señor Vega toca la trompeta en una banda.", "¿Qué instrumento toca el señor Vega?"),
        ("El ascensor se cambiará en octubre.", "¿Cuándo habrá un ascensor nuevo?"),
        ("La contraseña de invitados cambia cada semana.", "¿Cada cuánto cambia la contraseña?"),
        ("El gato de la señora Ruiz se llama Mico.", "¿Cómo se llama el gato?"),
        ("El señor Vega tiene miedo a las alturas.", "¿A qué le tiene miedo el señor Vega?"),
        ("Una plaza de garaje cuesta cuarenta euros al mes.", "¿Cuánto vale el garaje?"),
    ),
    "Japanese": (
        ("田中さんは牛乳にアレルギーがあります。", "田中さんは何にアレルギーがありますか。"),
        ("鈴木さんは五月から京都に住んでいます。", "鈴木さんはどこに住んでいますか。"),
        ("請求書は毎月末に送られます。", "請求書はいつ送られますか。"),
        ("倉庫は大阪から神戸に移転しました。", "倉庫はどこに移りましたか。"),
        ("田中さんは歴史小説が好きです。", "田中さんはどんな本が好きですか。"),
        ("社員食堂は金曜日に休みです。", "食堂が休みなのは何曜日ですか。"),
        ("鈴木さんは吹奏楽団でトランペットを吹いています。", "鈴木さんはどの楽器を演奏しますか。"),
        ("エレベーターは十月に交換されます。", "新しいエレベーターはいつですか。"),
        ("ゲスト用のパスワードは毎週変わります。", "パスワードはどのくらいの頻度で変わりますか。"),
        ("田中さんの猫はミケという名前です。", "猫の名前は何ですか。"),
        ("鈴木さんは高い所が苦手です。", "鈴木さんは何が苦手ですか。"),
        ("駐車場は一か月四千円です。", "駐車場の料金はいくらですか。"),
    ),
    "Chinese": (
        ("王女士对牛奶过敏。", "王女士对什么过敏？"),
        ("李先生从五月起住在杭州。", "李先生住在哪里？"),
        ("发票在每月最后一天寄出。", "发票什么时候寄出？"),
        ("仓库从上海搬到了宁波。", "仓库现在在哪里？"),
        ("王女士喜欢看历史小说。", "王女士喜欢什么书？"),
        ("食堂星期五休息。", "食堂哪天休息？"),
        ("李先生在乐队里吹小号。", "李先生会什么乐器？"),
        ("电梯将在十月更换。", "什么时候有新电梯？"),
        ("访客密码每周更换一次。", "密码多久更换一次？"),
        ("王女士的猫叫咪咪。", "猫叫什么名字？"),
        ("李先生害怕高处。", "李先生害怕什么？"),
        ("停车位每月四百元。", "停车位多少钱？"),
    ),
    "Arabic": (
        ("السيدة ليلى لا تتحمل الحليب.", "ماذا لا تتحمل السيدة ليلى؟"),
        ("السيد كريم يسكن في طنجة منذ مايو.", "أين يسكن السيد كريم؟"),
        ("ترسل الفواتير في آخر يوم من الشهر.", "متى ترسل الفواتير؟"),
        ("انتقل المخزن من الرباط إلى فاس.", "إلى أين انتقل المخزن؟"),
        ("السيدة ليلى تحب الروايات التاريخية.", "أي كتب تحب السيدة ليلى؟"),
        ("المطعم مغلق يوم الجمعة.", "في أي يوم المطعم مغلق؟"),
        ("السيد كريم يعزف على البوق في فرقة.", "على أي آلة يعزف السيد كريم؟"),
        ("سيستبدل المصعد في أكتوبر.", "متى سيكون المصعد جديدا؟"),
    ),
}


def cases() -> Cases:
    memories, questions = [], []
    start = datetime(2026, 4, 6, 10)
    for language, facts in _FACTS.items():
        for at, (fact, question) in enumerate(facts):
            key = f"{language}-{at}"
            memories.append(Memory(key, fact, start + len(memories) * timedelta(hours=30)))
            questions.append(Question(question, (Evidence(key, fact),), language))
    return Cases(
        "languages", f"facts in {', '.join(_FACTS)}", (Owner("interpreter", tuple(memories), tuple(questions)),)
    )
