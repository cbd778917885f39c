"""Pairs of letters of which at least one is not ASCII, in languages of the Latin alphabet."""

LATIN = {
    "de": (
        "3rüübüc4_üfäfühähöißkölälürätätüwäwüß_ßeäcähälänärätäuönörühünürüs5_äaßbüeßhükäkülömämöm"
        "ünänüoßrösäsütöußwözäßtädäfägämäsöcöfögöhösötügülüt6_öbäbödädügägögünöpäpüsövözözüödölöp"
        "ößüdüfümüß7eäföiöjäjüßaßißlßvßzäbäpäßömüp8döeöpöuäväßbßgßkßmßnßsä_äeäiäzö_öbövöw9cäeüiäj"
        "öyäßcßdßfßhßuäoü_"
    ),
    "fr": (
        "2é_3_édérétéécéeérés4géhéléménépéséèrégélépétêt5aîbécéféièiélàlèmèrèrêuévéà_èsètéaébédéf"
        "éménévîtôt6_à_ç_êcègèhèlâmênçoûpèpêrôsûtètôyéâcâtçaçoècègèmènèvéjéoéqéuêcêmînôlûrûtœu7_â"
        "_œaçaéaïbâbêcôdèdîeçfèfêgâgêhôjàlônènêoïoùpârârçrûsètêuêvèvêxéâgâlâmçuèdèlèqéhéiêlênêvïs"
        "ômù_û_ûl8_è_î_ôbècâcœdûfâhâjékémâmûnôoèoéoëoîpçpôsœtâuèvôzéâbânèbéâéçééëlîcîlï_ïdïeïnô_ô"
        "nôpœi9aëbîbûbœcêfûmônœqûvœâ_êpêqêrêsîmïaïqôdûc"
    ),
    "es": (
        "3ióráríé_íaó_ón4añeñréuéá_ánásí_ñaño5_ébícácícódédídóeíiélálélílómámínípárósésísótátétít"
        "óuívíáráténérésícídíníoírísómún6_á_úaíbébócécúdáfígígógúhíiñjéjómémónénónúoípépípósátúuá"
        "uñvázóábácágáiálámápécédéiéjélétévíbífígímítñeógólórósú_úlús7_í_óaúbábúeófáféfógágüháhéh"
        "óiámúnáoñpúsúvévóyóyúzááfájáqéaébéfémépéxíeñiñóócódópótóvóxúaúbúcúdúmúpúrútüe8aédúeéeúfú"
        "géhújárúuóáeáváxáyázéeégéñíjílípíqízñuñéñíófúe9aóeájíjúoéxáxíxóyáyézúáuáñéuóbúfúoüi"
    ),
    "pt": (
        "2ão3aççaçã4eçiçnçrásãtáá_árásçoçõênõe5_á_é_óaícêdádêhálálímámãnánãrãrírósásítãtétítóuçuí"
        "ámátávânã_é_émérésê_êsíaícídínísívórós6_à_úbécácâcçcécícódãdédífáféfígágégêhãiáiãiêiújál"
        "âlélêlómémímónénínónúoçpápépópôrçrérêsésósõtâtêtúuéuêvávãvévêvíà_ábácágálápâmãeécédénétê"
        "mí_ífílímírító_ócódógóiólónópótóxúdúlúmúnús7_â_íbábêbíbócãdódúeãfãfógãgígóhõiõjúlãlçmêmú"
        "nêoáoípãpçpêpípõpúrârõtõvóxáxãzãzézêàsádáfáxãségéiélépéuêbêeíbígípíqízóbómóvô_ônôrôsúbúp"
        "úrútúv8_êbúcúeíhésêvôàqáqúc"
    ),
    "it": (
        "2ràròtàà_ò_3è_é_ì_4_èhéiùsìù_5dìhèiàiòlàlìpàsùuò6_ébèdàdòfènénòoèpìpòrìsàsésòtètòtùvò7_ì"
        "bùcìfélòmònènùsètìuì8_àbàbìcòcùdèeòfàkèmèmìmùnìrèrérùvààièiécéeélìlìt"
    ),
    "nl": (
        "2ië3eëeïé_énë_ënïn4_éaïhèhékéoïuïè_ééëlër5aëcèdéeéféièoëoötévéènèrélérëeëiïdïsör6_è_üdáe"
        "üfügégêkèmünérèréröséuüvózóátèmèèécédéeésétênëvëxëzï_ïeïrïtó_óróóönübühümün7_á_ï_óbèböcé"
        "dèeègöhöiélèlémémómönènópéuéwáwézüá_árááècèlèsètèvéméoépëdëtïcïmófógónö_öcöeülüpür"
    ),
    "ca": (
        "3ióràréà_é_ó_4nçtààsçaènésí_5_à_é_úaçbécàlàlímàmémírèríròsísótètétítòuèuéuíuïàcànàràtè_è"
        "rèsícíeínísò_òrós6_è_òaïbàcècícòcódàdèdédídóeïfàfígègúiàièlçlèlélòlómèmòmónànènénínònúoï"
        "pàpèpòpúqürçrósàsèsétótúvàvévíxíxòàgàlàmàpàvç_çoècèdèièténéuíaídífílímítïdïnïtògòlòmònòp"
        "òsócónú_úlúnúsüe7_íaíaóbèbíbòbóbúcécúdòdúeçfèféfòfógàgígühàhòiçiïlúmúnópírúsòsúuàuóvèxèà"
        "bàdàfàqàuàxçuçòçóèfègèlèmèpèxéiéríbígï_ïbïcïlïmïsòbòcòdòfòtòxómórúbúmúpúrútúvüè8_óeàeógó"
        "iéiòjàjúpóvóxàxéxóyóétípíq"
    ),
    "sv": (
        "3föväälänärör4_ä_å_öhäjäkälälålörärårösätäägämätå_ålånåråtödöv5bödöfäfågågöhåhökömämåmön"
        "änåpåsåsötåtövåäcädäkäsävådågåkåsögöjökölömönösöt6bäbådädågäjökånöpääfäpäxöp7déoäpöä_åeå"
        "håmåpåvé_énö_8féiäiömérévöähåaåbåféeöaöcöf9cénéäbäeåjésöböeöh"
    ),
    "da": (
        "3rævæænærør4_ødøføhøkækølælømånærøsåsæsøtætøå_årædægækælæsødøgøjøsøv5_å_æbøfægågøhåhæjæl"
        "åmæmønånøpåpøråtåvååbådåeålånåsæbæmætævøbølømøn6båbædådæfågæjøkåpævøågåtæfé_ø_øeøføk7_éd"
        "éiøåhåkåvæ_æcæeæiæpénérétøhøt8eåeæhéiåjånéréåfåpæhéeøi9cæféiæiélémésétéuæuøvéåiåmæo"
    ),
    "no": (
        "3føjølørøå_årærør4_å_ødøgåhølåmåpåråsåsøtåtøvåvæålånåpåtødøkølømønøsøtøvøy5båbøfåhåjælæm"
        "ønånænøpøådåeåkåsøføp6_æbædåfæhæiøkåkørætævøåfågåvælævé_ø_øeøg7_édégægøjårésæædæpæsénøb8"
        "_òcædæeåféiåmæménépæåbåhåiåjåmååæ_éeògøhøi9eæfôiéjélépésétéuæuøéaétôr"
    ),
    "fi": (
        "2tää_3käläväänätää4dähäiäjäkömänäpäsäyöähäiäkälämäräsäväyö_5_äeälörätöönösöy6iöyääeäjäpö"
        "höiökölöröt7hönöpösöädäoödöjömöpöäöö8_öbädöjömöoärö9gääaöaöv"
    ),
    "is": (
        "4_á_þaðiðjálíá_álátærætíkínð_ðiðuölör5_æ_é_í_ö_úbíbúfæfögæháhæhöhújójöjúlálælömámínánænú"
        "rárærérírðrúsæsésísötætítövævívöákánárásægækælæmænæségélérétí_ífílímísítðaöfögökönú_úlún"
        "úsútþe6_óbábæbödádæeðfáféfífðgðgöhékákækíkökúlémæmémönípírösátúuðvéábáfágáháiáuáðæ_ædæfæ"
        "ðé_ígíríuíðólórótóðömösötúaúfúiúkúmúrþaþi7dídödúfógágígóiíjækólólúlýmúnónönýoðpápöpúrósó"
        "súsýtátóyðáaámápáváææiæjæpævéfékéséðíaíbídíiípðjðrðsðvó_ógókómónósö_ödöpöðúgúpúðýnýrýsýt"
        "þrþuþvþyþáþéþíþú8fúénóföx"
    ),
    "et": (
        "3_üvõärõi4_õjäkäkõkülälõmämõnäpäpõsõsütätõvääeägähäiälänääõnõpõrõtõuööühülüü5_ä_öhäjõmün"
        "õpüräsötötüädäkäsätõbõeõhõlõmüdükünürüsüt6hülölümönüpörõrörüsääbämäoäpävõdõgõjõsõõö_ödöe"
        "ögökörötövüaügümüp7aõaüfühõköõkõvöböiölömönösübüv8_šbäbüdžfäföiünötšvöä_õoöpü_šeži9dödüe"
        "ügägöiõuäuüušvüäjöaöhöoüešašišo"
    ),
    "pl": (
        "3ałą_ć_ę_ła4aćeśićięiłjąośówł_łełoś_śc5_ś_żaśażdłdźeżgłiąiśjękękłmónąnęołożpórósłtótęyćy"
        "łyśzązęzłórącądęcędłułyńcślśmśwśćż_żażeży6_łańbęcócącędądęećełeńeźgójśkókąląlęmęońpłrąrę"
        "sątąułuśużwówąwęwłóbócódójólółóżągątąćąłążękępętęłęśężłbłkłnłółąń_ńsśnź_źnżnżo7aźbóbąbłd"
        "ódżgągęhóhęhłióiżmąmłnópęrłrżsósętłućyżzóógósótózóźąpązębęgęlęsęzęćłęśpśrźcźlźmżcżdżkżlż"
        "sżużążę8_ć_źińjókżmśoćpąrśwśókóćąsąśćmćwłcłpłsłtłżźdźwźćżb9_óhśiźlónżoźrćuńuźyńyźąbąkćcę"
        "źłmńmśbźrżmżó"
    ),
    "cs": (
        "3í_4děnáníněpřrávávěá_é_ímý_ě_řeřiříš_5_č_ř_š_žcídádíečešhájíkálálímámíměnénýočožtátítět"
        "řužvévívýzáádálámánátávázášícíkítíščečičkčnčíělětšešíů_žeži6_úačařašažbíbědůeřežičiškéký"
        "lélýmůnčořošpápípěpůrýrůržsítétýučušvšyšzíácáhákápárásážéhémídíhílínírísívízížýcýmč_čaď_"
        "ěcědějěkěněsěřěžň_řášiškšlštůsůžž_ždžnžáží7aňbábýbřdédýdřeďeňhýhřhůiáižjájškřkůmémýmřnůn"
        "žpšrérčršsátůuřvřvůyčyřzůábájáčářékénéríbíjípíčířúsýbýhýtývýščlčtčáďtěhěměrěvězěšř_řašaš"
        "nšpšťť_ťaůjůlůmůvžažkžožu"
    ),
    "sk": (
        "3ť_4aťiťnánénýráá_ávé_í_ímý_š_ži5_ú_č_š_žačašaždádíečeľešežháičjúkákúkýlálímánínúočožpár"
        "ísťtátítývávívýzáácádálámánárásátítíšú_ýcýmčačečičkčnčočíľašešištťaže6_ľaľbábídôdúeďeňeť"
        "hýhľišjíjškélélúlýmônčoľošpípôrérýržsísútétúučušužvävévšyšzíáhákápázáčášážéhémérícíkínís"
        "ívónôžúcúdúpúsútúťč_čuď_ďaľ_ľkľuň_ňašaškšlšnšošíšťž_žaždžnží7_á_ď_ťaňbýcídýiáižlšmämímýn"
        "žoďpäpýpšrúrčršuťvčábájätäzäčénídíjílípírízížôjôlôsôvúbúkúrúvúzúčúšúžýbýkýtývýščlčtčúčšď"
        "tľnľoľvľúňoňušpšľťožkžožu"
    ),
    "hu": (
        "3ál4_ékékölásétátéváánárásátégélénérésítül5_á_ö_übágágéhájájökákülélólőmáménánérárérórüs"
        "átótötütővézázézüábádágákámázéképétézívó_ólökölönörösötözükünő_ől6_í_ó_ú_őbíbódádédödőfé"
        "gígöhíiáiójéjójükíkólílöműnönünőpápérörősísüsőtűyáyézízózözőá_ácájávé_ébédémévínírízóbód"
        "ókórósótömövú_úgújúlügődőkőnőrősőtű_űn7bébőbűcácédídódüfáföfüfőgógügőhéhóhöhúiéiúlümímóm"
        "únínúpípürírúrűsósösútítúvövüvőyíyóyöyúyüyőyűzúáiéhéjígógójónóvózöbödögúrúsútúzüdürüsütü"
        "vüzőbőjővőzűv8böbüvíóműkűl"
    ),
    "sl": (
        "3_čašičišoččačečiš_ži4_š_žačečešežošožušužč_čnčušašešiškščžaže5ažižjškšnčržuččkčršlšnšoš"
        "tžn6bčhčlžrčršvčvščjčlčošpž_žbžgžjžkžržu7bšdšdžjčlčpšvžzššjšužlžo8bždčmčmšnšnžpčzččmčvšv"
        "9gčsčšmššžmžv"
    ),
    "hr": (
        "3ašiščečiš_4_č_š_žačažećečešičočošožućučušužćaćećičačnčuđešašešištžažeži5_ćaćađeđežićoćo"
        "đršržć_ćuč_čkđađiškšlšnžnžu6džiđižnčrčuđćnčođušošuž_žbžj7gđjčkćkšmčpćpšvčvšćočjčlčvđošpš"
        "ćždžlžožr8_đkčnđpčrćrđšmšvžv9jšmćnžšcščšš"
    ),
    "ro": (
        "2ă_3_îcărătăînţi4_şaţeşeţiţlămănănţpăsăânămărătşişt5_ţaşbăcâcţdăgăişmâoţrâtâuşuţvăzăârât"
        "îmăcăiălăsăţşaşeţaţeţă6_ăfăgâlţnşoşpâpţrţuăvââiâmăbădăgănăpăuăzăşş_şcşoşuţ_ţu7bţfâjălâmţ"
        "nârşsâzââlâşâţîţăjăvşnşă8bâcîdâeîhâhărîsţtîâdâsâuî_îiîlîtîşşm9cşmîsîxăâ_âzîsăăţoţâ"
    ),
    "sq": (
        "2ë_ër3hëjëkëmënëpërëtëënës4_çbëdëlëqësëëmët5_ëcëgëvëzëëhëjëlëvëz6eçfëiçç_çaçeçfçiçkçmçoë"
        "dëgëp7açiënçoççdçuçëëfëkëq8hçrçuçxëyççlëbëi9lççs"
    ),
    "lt": (
        "3išą_ų_ži4_į_š_žašažbėdėdžiųlėrėtėužčiė_ėjėsėtę_į_šiškšt5būešežiūjąkąkėkšmąmėnąnėrąrįršr"
        "ūsėtątųvėėkėlėmęsįsšašešvūrūsžažežu6_čačdąečgągėgųiąičjūjųkękūkųląlęlįmųnčnęnįnųošpėrųsą"
        "sųtętįučušvąvęyčąsėdėgėrįžš_šgšlšmšošsšušyščšėūdūkūnūpūtždžkžmžožsžtžvžy7_ėaėbąbębųdędįd"
        "ūdųeįgęgūgžiėižjėjęjįkįlūlųmęmūmžočožpąpūrčręržsčsįsūtūvųąjąmąžčačeėnėpėvėčėšėžįdįkįpįrį"
        "tįvįššbšdšnšpšršęšįšūūgūlųjųsž_žnžpžržėžį8_ūcūgškčlčlžnūpępšsętšuėyšyžzėčkįeįgįjįlįmšjšą"
        "šššųū_ūmūvūzūčūšžbžlžąžęžū"
    ),
    "lv": (
        "3ā_4dīiņjākālēmānārārītātīvēādājākāmārāsātējētībīgītša5_šbābūcīdādēdžešgākšlālīmēmīnīošp"
        "āpērēsāsītēušvāzēzīācālāpāvē_ēdēlēmērēsīdījīnīsīvļaņašišuūsūt6_ā_č_ē_ī_ķ_ļaļaņašbēcācēeļ"
        "eņežjūkļlūmūnēpīršrūsēsūuļvīzāābānāzāšēcēgēkēnēšģiī_īcīkīlīmīrīšķeķiļiļuļāļūņeņiņuņēš_šo"
        "šāšīšķūdūkžažežožu7_ģ_ņ_žaģažbīeāgšgūhāiāičiķiļišižjēkūmšoņožpšpūtūuāzņāaāgāičačečičuēpē"
        "vēzēģēļģeģēīpīzīļķēķīļ_ļoļķņ_ņoņāņššešsū_ūgūlūpūrūzūšūžž_žižāžē8_ūačaķdūeķgļnšnūoķpņrķtļ"
        "uģuķuņāļāžķuņķšnšršēūcūjžī"
    ),
    "tr": (
        "3ı_ın4_ç_öağaşdüdıeğgöişkılımınırısıtıyıünğiğııkılımırıyızışş_5_ü_şaçcıeçeşgüiçiğlümünür"
        "üsötüuğuşyüzıçaçeçiçıölönöröyü_ümürüyüzüşğuısığşaşeşişlşmştşüşı6böbübıdöfıköküoğoşpırçrş"
        "süuçzüç_çlçmçoötözöğükülüsüğğağeğlğrğüıcıpşkşu7_ıcügıhıkâkçnçvüyöçtçuçöçüödököpösücüdüpü"
        "tüvüçıdıtıçşs8hâhüjıkşlâlçmşpütçtövıâ_âlçbçkömövübüfğ_ğdğmğzıfşgşoşvşyşçşö9fühçhşjünönşo"
        "çrövşânârâyçsöböcöföşühğoıiıvşb"
    ),
    "vi": (
        "3_đ5hàháhôhúhưhảiêiếiệà_ànácánênì_ó_ôiônấtấyếnếtệnốnời6_ôbácácócôcảcủgàgìgưhâhéhìhíhóhơh"
        "ạhấhầhậhắhếhỉhịhọhỏhốhủhứiềiểlàlạmàmộnànóoàoáoạrárưrồtôtưtốuốuộvàvậyêyệàiàmàoàyá_áiámáoá"
        "tânâuâyã_é_ê_êuìní_ícínònócóiónô_ùnúcúnútý_ănđađiđáđâđãđóđưđấĩ_ơ_ơiơnư_ưaưnươướườượạcạiạ"
        "nả_ảiảnấnấuầnầuậnậpậtậuậyắcắnắtằnẻ_ẽ_ế_ếpếuề_ềnềuể_ệ_ệtỉ_ị_ọnỏ_ố_ốcốiốtồiồnổ_ổiổnộcộiộnộ"
        "tớ_ớcớiờ_ờnở_ợcụ_ụcủ_ủaứ_ứcừnữaự_ực7_à_á_ý_ă_ơ_ư_ấ_ổbàbébạbảbấbắbịbọbỏbốbộcàcâcòcùcúcũcơ"
        "cưcấcầcậcốcứcửdàdâdùdưdạdụgágãgógạgầgắgặgọhãhèhêhòhùhăhĩhẩhằhẳhẹhềhểhệhồhổhỗhộhớhờhởhợhụ"
        "hừhửhữhựiàiáiảiễiờiữkíkếlálãlêlúlưlấlầlắlỗmámãmìmômưmạmấmắmặmẹmọmớnênănưnếnữoảràrêrôrúrạ"
        "rảrấrắrằrọrốrờsásósưsắsẽsốsựtàtátâtêtìtítútạtấtậtổtớtụtừtựuáuâuôuýuảuấuầuậuồuổvâvìvưvẫvề"
        "vớvụxáyếyềyểàuápáuáyâmãiãnãyè_éoépétêmìaìmítò_óaótômõ_ù_ùaùiú_úaúiúpămđeđođuđàđôđúđạđầđặ"
        "đếđềđểđịđốđồđộđứđừũ_ũnưởưỡạ_ạmạoạtạyảmảoảyấmấpầmầyẩnẫnậmắmắpẳnặcặnặpặtẹ_ẹpếcếmểmểnểuễ_ễn"
        "ệcệmệpệuỉnịcịnọ_ọcọiỏiỏnồ_ỗ_ỗiộ_ớnớpớtởiởnỡ_ợ_ợiợnợtụnủnứaứnừ_ừaử_ửaữ_ữnựaỷ_ỹ_8_íbócắdịi"
        "ấkìlôlớlựnạuêvịènèoénòađảđổĩaĩnưuạpứt"
    ),
    "br": (
        "2añoùñ_ù_3iñ4eñlâoñârñjñsñv5êrñc6eügêlênôuññfñtür7hêkêtêé_ô_ôg8céhôkâlümünérérüsétéyêécéeésôrügünüs"
    ),
}
