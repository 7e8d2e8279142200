"""What the agent can say without a language model: a few answers in each of Lokutor's languages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Script:
    """What the agent says in one language.

    Attributes:
        name: The language's own name.
        greeting: What it says first.
        answers: By question. One of them is long, to be interrupted.
        otherwise: The answer to any other question.
    """

    name: str
    greeting: str
    answers: dict[str, str]
    otherwise: str


SCRIPTS = {
    "en": Script(
        "English",
        "Hello! Ask me something, and talk over me whenever you like.",
        {
            "What can I see on the island?": (
                "Oh, quite a lot. You could begin at the old lighthouse, which is open until five, and "
                "from the top you can see the whole bay. After that there is the fishing museum, with "
                "a model of every boat that was ever built here. Then a path along the cliffs leads to "
                "the seals, who sleep on the rocks below, and don't mind visitors at all. And if you "
                "are hungry by then, the bakery in the village makes a lemon cake that people cross "
                "the sea for."
            ),
            "When does the next boat leave?": (
                "The next boat leaves at ten forty, from pier three. The crossing takes half an hour."
            ),
            "How much is a ticket?": "A return ticket is twelve euros, and children under six travel free.",
            "What runs your website?": (
                "It runs on nginx, with PostgreSQL behind it. If you don't like how I said that, write "
                "it differently under pronunciations, and ask again."
            ),
        },
        "I have no language model here, so I only know the questions that you can pick. With "
        "an OpenAI key, I would answer that.",
    ),
    "es": Script(
        "Español",
        "¡Hola! Pregúntame algo, e interrúmpeme cuando quieras.",
        {
            "¿Qué se puede ver en la isla?": (
                "Muchas cosas. Puedes empezar por el viejo faro, que abre hasta las cinco, y desde "
                "arriba se ve toda la bahía. Después está el museo de la pesca, con una maqueta de "
                "cada barco que se ha construido aquí. Luego, un camino por los acantilados lleva "
                "hasta las focas, que duermen sobre las rocas. Y si tienes hambre, la panadería del "
                "pueblo hace una tarta de limón estupenda."
            ),
            "¿Cuándo sale el próximo barco?": "El próximo barco sale en veinte minutos, del muelle tres.",
        },
        "Aquí no tengo un modelo de lenguaje, así que solo conozco las preguntas que puedes elegir.",
    ),
    "ca": Script(
        "Català",
        "Hola! Pregunta'm alguna cosa, i interromp-me quan vulguis.",
        {
            "Què es pot veure a l'illa?": (
                "Moltes coses. Pots començar pel vell far, que és obert fins a les cinc, i des de dalt "
                "es veu tota la badia. Després hi ha el museu de la pesca, amb una maqueta de cada "
                "vaixell que s'ha construït aquí. Més enllà, un camí pels penya-segats porta fins a "
                "les foques, que dormen sobre les roques. I si tens gana, el forn del poble fa un "
                "pastís de llimona boníssim."
            ),
            "Quan surt el pròxim vaixell?": "El pròxim vaixell surt d'aquí a vint minuts, del moll tres.",
        },
        "Aquí no tinc cap model de llenguatge, així que només conec les preguntes que pots triar.",
    ),
    "gl": Script(
        "Galego",
        "Ola! Pregúntame algo, e interrómpeme cando queiras.",
        {
            "Que se pode ver na illa?": (
                "Moitas cousas. Podes comezar polo vello faro, que abre ata as cinco, e desde arriba "
                "vese toda a baía. Despois está o museo da pesca, cunha maqueta de cada barco que se "
                "construíu aquí. Máis alá, un camiño polos cantís leva ata as focas, que dormen sobre "
                "as rochas. E se tes fame, a panadaría da vila fai unha torta de limón moi boa."
            ),
            "Cando sae o próximo barco?": "O próximo barco sae en vinte minutos, do peirao tres.",
        },
        "Aquí non teño un modelo de linguaxe, así que só coñezo as preguntas que podes escoller.",
    ),
    "eu": Script(
        "Euskara",
        "Kaixo! Galdetu zerbait, eta moztu nahi duzunean.",
        {
            "Zer ikus daiteke uhartean?": (
                "Gauza asko. Itsasargi zaharretik has zaitezke, bostak arte zabalik dago, eta goitik "
                "badia osoa ikusten da. Gero arrantzaren museoa dago, hemen egindako itsasontzi "
                "guztien maketekin. Ondoren, bide batek itsaslabarretatik fokengana eramaten zaitu, "
                "haitzen gainean lo egiten dute. Eta gose bazara, herriko okindegiak limoi tarta "
                "ederra egiten du."
            ),
            "Noiz irteten da hurrengo itsasontzia?": "Hurrengo itsasontzia hogei minutu barru irteten da.",
        },
        "Hemen ez dut hizkuntza eredurik, eta aukera ditzakezun galderak bakarrik ezagutzen ditut.",
    ),
    "pt": Script(
        "Português",
        "Olá! Pergunte-me alguma coisa, e interrompa-me quando quiser.",
        {
            "O que se pode ver na ilha?": (
                "Muita coisa. Pode começar pelo velho farol, que está aberto até às cinco, e lá de "
                "cima vê-se toda a baía. Depois há o museu da pesca, com um modelo de cada barco que "
                "aqui se construiu. A seguir, um caminho pelas falésias leva até às focas, que dormem "
                "sobre as rochas. E se tiver fome, a padaria da aldeia faz um bolo de limão muito bom."
            ),
            "Quando sai o próximo barco?": "O próximo barco sai daqui a vinte minutos, do cais três.",
        },
        "Aqui não tenho um modelo de linguagem, por isso só conheço as perguntas que pode escolher.",
    ),
    "fr": Script(
        "Français",
        "Bonjour ! Posez-moi une question, et coupez-moi la parole quand vous voulez.",
        {
            "Que peut-on voir sur l'île ?": (
                "Beaucoup de choses. Vous pouvez commencer par le vieux phare, ouvert jusqu'à cinq "
                "heures, et d'en haut on voit toute la baie. Ensuite, il y a le musée de la pêche, "
                "avec une maquette de chaque bateau construit ici. Puis un chemin le long des falaises "
                "mène aux phoques, qui dorment sur les rochers. Et si vous avez faim, la boulangerie "
                "du village fait une très bonne tarte au citron."
            ),
            "Quand part le prochain bateau ?": "Le prochain bateau part dans vingt minutes, du quai trois.",
        },
        "Je n'ai pas de modèle de langage ici, je ne connais donc que les questions que vous pouvez choisir.",
    ),
    "it": Script(
        "Italiano",
        "Ciao! Chiedimi qualcosa, e interrompimi quando vuoi.",
        {
            "Che cosa si può vedere sull'isola?": (
                "Molte cose. Puoi cominciare dal vecchio faro, aperto fino alle cinque, e dall'alto si "
                "vede tutta la baia. Poi c'è il museo della pesca, con un modello di ogni barca "
                "costruita qui. Più avanti, un sentiero lungo le scogliere porta alle foche, che "
                "dormono sulle rocce. E se hai fame, il forno del paese fa una torta al limone molto "
                "buona."
            ),
            "Quando parte la prossima barca?": "La prossima barca parte fra venti minuti, dal molo tre.",
        },
        "Qui non ho un modello linguistico, quindi conosco solo le domande che puoi scegliere.",
    ),
    "de": Script(
        "Deutsch",
        "Hallo! Fragen Sie mich etwas, und fallen Sie mir ins Wort, wann Sie wollen.",
        {
            "Was kann man auf der Insel sehen?": (
                "Eine ganze Menge. Sie können mit dem alten Leuchtturm beginnen, der bis fünf Uhr "
                "offen ist, und von oben sieht man die ganze Bucht. Danach kommt das Fischereimuseum, "
                "mit einem Modell von jedem Boot, das hier gebaut wurde. Dann führt ein Weg die "
                "Klippen entlang zu den Robben, die auf den Felsen schlafen. Und wenn Sie hungrig "
                "sind, macht die Bäckerei im Dorf einen guten Zitronenkuchen."
            ),
            "Wann fährt das nächste Boot?": "Das nächste Boot fährt in zwanzig Minuten, vom Steg drei.",
        },
        "Ich habe hier kein Sprachmodell, deshalb kenne ich nur die Fragen, die Sie auswählen können.",
    ),
}


def find_answer(question: str, language: str) -> str:
    """Return the answer to a question, in its language; to an unknown one, in that of the call."""
    for script in SCRIPTS.values():
        for known, answer in script.answers.items():
            if known.casefold() == question.casefold():
                return answer
    return SCRIPTS.get(language, SCRIPTS["en"]).otherwise
