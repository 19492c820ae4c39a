//! The room under a virtual clock, with sessions that end when a test says so.

use std::cell::RefCell;
use std::rc::Rc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::incoming::{Incoming, Way};
use super::*;

/// A session that the room and the test share.
#[derive(Clone, Debug)]
struct TestSession {
    id: u32,
    state: Rc<RefCell<Spool>>,
}

#[derive(Debug)]
struct Spool {
    heard: Vec<String>,
    open: bool,
    attached: bool,
    replaced: bool,
    capacity: usize,
}

impl RoomSession for TestSession {
    type Id = u32;

    fn id(&self) -> u32 {
        self.id
    }

    fn offer(&self, message: Message) -> bool {
        let mut state = self.state.borrow_mut();
        state.open &= state.heard.len() < state.capacity;
        if state.open {
            state.heard.push(message.as_text().expect("rooms send text").to_owned());
        }
        state.open
    }

    fn is_attached(&self) -> bool {
        let state = self.state.borrow();
        state.open && state.attached
    }

    fn replace(&self) {
        let mut state = self.state.borrow_mut();
        (state.open, state.replaced) = (false, true);
    }
}

/// A client: its session, and its identity in the room.
#[derive(Clone, Debug)]
struct Client {
    session: TestSession,
    id: Arc<str>,
    token: Option<Token>,
}

impl Client {
    /// What has come since the last time.
    fn texts(&self) -> Vec<String> {
        self.session.state.borrow_mut().heard.drain(..).collect()
    }

    fn heard(&self) -> Vec<Value> {
        self.texts()
            .iter()
            .map(|text| serde_json::from_str(text).expect("rooms send JSON"))
            .collect()
    }

    fn welcome(&self) -> Value {
        let heard = self.heard();
        assert_eq!((heard.len(), &heard[0]["type"]), (1, &json!("welcome")), "{heard:?}");
        heard[0].clone()
    }

    fn types(&self) -> Vec<String> {
        self.heard()
            .iter()
            .map(|message| message["type"].as_str().expect("a type").to_owned())
            .collect()
    }
}

/// A room, its clock, and numbers for sessions.
struct Stage {
    room: CallRoom<TestSession>,
    now: Instant,
    sessions: u32,
}

const GRACE: Duration = Duration::from_secs(15);
const OFFER: &str = r#"{"type":"offer","sdp":{"type":"offer","sdp":"v=0\r\n"}}"#;

impl Stage {
    fn new() -> Self {
        Self::with(RoomsConfig::default())
    }

    fn with(config: RoomsConfig) -> Self {
        Self {
            room: CallRoom::new(RoomNumber::from(7), &config),
            now: crate::clock::now(),
            sessions: 0,
        }
    }

    fn session(&mut self) -> TestSession {
        self.sessions += 1;
        let state = Spool {
            heard: Vec::new(),
            open: true,
            attached: true,
            replaced: false,
            capacity: usize::MAX,
        };
        TestSession { id: self.sessions, state: Rc::new(RefCell::new(state)) }
    }

    fn identity(&self) -> Identity {
        Identity {
            id: format!("p{}", self.sessions).into(),
            token: Token::parse(&format!("{:032x}", self.sessions)).expect("hex"),
        }
    }

    /// A page of protocol 1 joins; told as a rule once.
    fn try_one(&mut self, name: &str) -> Result<Client, MessageError> {
        let session = self.session();
        let id =
            self.room.join_one(self.identity(), name.into(), session.clone(), false, self.now)?;
        Ok(Client { session, id, token: None })
    }

    fn one(&mut self, name: &str) -> Client {
        self.try_one(name).expect("joins")
    }

    fn two(&mut self, name: Option<&str>) -> Client {
        let session = self.session();
        let identity = self.identity();
        let token = Some(identity.token);
        let id = self
            .room
            .join_two(identity, name.map(Into::into), session.clone(), self.now)
            .expect("joins");
        Client { session, id, token }
    }

    fn two_quiet(&mut self) -> Client {
        let client = self.two(None);
        client.texts();
        client
    }

    fn back(&mut self, client: &Client, fresh: bool, seen: Option<u64>) -> Client {
        let session = self.session();
        let id = self
            .room
            .come_back(&client.id, client.token, fresh, seen, session.clone(), self.now)
            .expect("returns");
        Client { session, id, token: client.token }
    }

    fn say(&mut self, client: &Client, text: &str) -> Result<(), MessageError> {
        match Incoming::parse(text).expect("well formed") {
            Incoming::Signal(signal) => {
                self.room.signal(&client.id, &client.session.id, &signal, self.now)
            }
            Incoming::Leave { .. } => {
                self.room.leave(&client.id, &client.session.id, self.now);
                Ok(())
            }
            other => panic!("not for a room: {other:?}"),
        }
    }

    /// The client's transport breaks, and the room is told.
    fn lose(&mut self, client: &Client) {
        client.session.state.borrow_mut().open = false;
        self.room.detach(&client.id, &client.session.id, self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.room.handle_timeout(self.now);
    }
}

fn text(data: &str, to: &Client, reference: &str) -> String {
    json!({"type": "text", "data": data, "to": &*to.id, "ref": reference}).to_string()
}

#[test]
fn a_page_of_protocol_1_is_told_once_whether_somebody_is_there() {
    let mut stage = Stage::new();
    let ann = stage.one("ann");
    assert_eq!(
        ann.texts(),
        [r#"{"from":"Server","type":"join","data":"false","candidate":null,"sdp":null}"#]
    );
    let bob = stage.one("bob");
    assert_eq!(
        bob.texts(),
        [r#"{"from":"Server","type":"join","data":"true","candidate":null,"sdp":null}"#]
    );
    assert!(ann.texts().is_empty(), "others' joins are not told");

    let away = stage.two(None);
    stage.lose(&ann);
    stage.lose(&bob);
    stage.lose(&away);
    assert_eq!(
        stage.one("eve").heard()[0]["data"],
        "false",
        "an absent participant negotiates with none"
    );
}

#[test]
fn protocol_1_talks_to_the_room_in_its_own_form() {
    let mut stage = Stage::new();
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| stage.one(name));
    for client in [&ann, &bob, &eve] {
        client.texts();
    }
    stage
        .say(&ann, r#"{"from":"ann","type":"ice","candidate": {"candidate":"x", "sdpMid":"0"}}"#)
        .expect("relayed");
    stage.say(&ann, r#"{"from":"ann","type":"text","data":"안녕\u0000"}"#).expect("relayed");
    for client in [&bob, &eve] {
        assert_eq!(
            client.texts(),
            [
                r#"{"from":"ann","type":"ice","data":null,"candidate":{"candidate":"x", "sdpMid":"0"},"sdp":null}"#,
                r#"{"from":"ann","type":"text","data":"안녕\u0000","candidate":null,"sdp":null}"#,
            ]
        );
    }
    assert!(ann.texts().is_empty());
    // The end of candidates has no form that such a page understands.
    stage.say(&ann, r#"{"from":"ann","type":"ice"}"#).expect("relayed");
    assert!(bob.texts().is_empty());
    assert_eq!(
        stage.say(&ann, r#"{"from":"bob","type":"text","data":""}"#),
        Err(MessageError::WrongName)
    );
    stage.say(&ann, r#"{"type":"leave"}"#).expect("leaves");
    assert_eq!(
        stage.say(&ann, r#"{"from":"ann","type":"text","data":""}"#),
        Err(MessageError::NotJoined)
    );
    assert!(bob.texts().is_empty() && eve.texts().is_empty());
}

#[test]
fn a_name_is_refused_while_its_holder_is_connected_and_replaced_when_not() {
    let mut stage = Stage::new();
    let watcher = stage.two_quiet();
    let ann = stage.one("ann");
    assert_eq!(
        stage.try_one("ann").expect_err("taken"),
        MessageError::NameTaken(RoomNumber::from(7))
    );
    assert_eq!(
        stage.try_one(&watcher.id).expect_err("an id of protocol 2"),
        MessageError::NameTaken(RoomNumber::from(7))
    );
    assert_eq!(ann.types(), ["join"]);

    ann.session.state.borrow_mut().attached = false;
    watcher.texts();
    let reloaded = stage.one("ann");
    assert!(ann.session.state.borrow().replaced);
    assert_eq!(reloaded.id, ann.id);
    assert_eq!(reloaded.heard()[0]["data"], "true");
    let change = &watcher.heard()[0];
    assert_eq!(
        (&change["change"], &change["participant"]["incarnation"]),
        (&json!("renewed"), &json!(2))
    );
    // The end of a replaced session removes no participant.
    stage.lose(&ann);
    assert_eq!(stage.say(&ann, r#"{"type":"text","data":""}"#), Err(MessageError::NotJoined));
    assert_eq!(stage.room.census().participants, 2);
}

#[test]
fn a_name_whose_transport_is_gone_can_be_taken_out() {
    let mut stage = Stage::new();
    let ann = stage.one("ann");
    assert!(!stage.room.leave_by_name("ann", stage.now), "it is connected");
    ann.session.state.borrow_mut().attached = false;
    assert!(!stage.room.leave_by_name("bob", stage.now));
    assert!(stage.room.leave_by_name("ann", stage.now));
    assert!(stage.room.is_empty() && ann.session.state.borrow().replaced);
}

#[test]
fn the_roster_is_told_whole_and_then_by_change() {
    let mut stage = Stage::new();
    let ann = stage.two(Some("Ann"));
    let welcome = ann.welcome();
    assert_eq!(
        welcome,
        json!({"type": "welcome", "room": 7, "id": "p1", "token": format!("{:032x}", 1), "incarnation": 1,
               "returned": false, "waiting": 0, "missed": 0, "grace": 15.0, "revision": 1, "participants": []})
    );
    let bob = stage.two(None);
    let welcome = bob.welcome();
    assert_eq!(welcome["revision"], 2);
    assert_eq!(
        welcome["participants"],
        json!([{"id": "p1", "name": "Ann", "incarnation": 1, "protocol": 2, "away": false, "polite": true, "initiate": true}])
    );
    assert_eq!(
        ann.heard(),
        [json!({"type": "roster", "revision": 2, "change": "joined",
                "participant": {"id": "p2", "incarnation": 1, "protocol": 2, "away": false, "polite": false, "initiate": false}})]
    );

    stage.lose(&bob);
    stage.pass(GRACE - Duration::from_millis(1));
    let bob = stage.back(&bob, false, None);
    stage.say(&bob, r#"{"type":"leave"}"#).expect("leaves");
    let changes: Vec<_> =
        ann.heard().iter().map(|it| (it["revision"].clone(), it["change"].clone())).collect();
    assert_eq!(
        changes,
        [(3, "away"), (4, "back"), (5, "left")]
            .map(|(revision, change)| (json!(revision), json!(change)))
    );
    assert_eq!(bob.types(), ["welcome"], "no one is told of itself");
}

#[test]
fn each_pair_has_one_polite_side_and_knows_who_begins() {
    let mut stage = Stage::new();
    let flags =
        |participant: &Value| (participant["polite"] == true, participant["initiate"] == true);
    let waits = stage.one("waits"); // alone: waits for an offer
    let ann = stage.two(None);
    assert_eq!(
        flags(&ann.welcome()["participants"][0]),
        (false, true),
        "it waits, so ann begins; it takes every offer"
    );
    let offers = stage.one("offers"); // not alone: makes an offer to all
    assert_eq!(flags(&ann.heard()[0]["participant"]), (false, false), "it begins");
    let bob = stage.two(None);
    let welcome = bob.welcome();
    let views: Vec<_> =
        welcome["participants"].as_array().expect("a list").iter().map(flags).collect();
    assert_eq!(
        views,
        [(false, true), (true, true), (false, true)],
        "the latest begins with everybody"
    );
    assert_eq!(flags(&ann.heard()[0]["participant"]), (false, false));
    assert_eq!((waits.types(), offers.types()), (vec!["join".to_owned()], vec!["join".to_owned()]));

    // A new incarnation counts as the latest to join.
    let renewed = stage.back(&ann, true, None);
    let welcome = renewed.welcome();
    assert_eq!((&welcome["incarnation"], &welcome["returned"]), (&json!(2), &json!(true)));
    let views: Vec<_> =
        welcome["participants"].as_array().expect("a list").iter().map(flags).collect();
    assert_eq!(views, [(false, true), (false, true), (true, true)]);
    assert_eq!(flags(&bob.heard()[0]["participant"]), (false, false));
}

#[test]
fn both_protocols_understand_each_other() {
    let mut stage = Stage::new();
    let ann = stage.two_quiet();
    let bob = stage.two_quiet();
    let eve = stage.one("eve");
    for client in [&ann, &bob, &eve] {
        client.texts();
    }
    let eves = stage.room.participants[2].id.to_string();

    stage.say(&eve, &OFFER.replacen('{', r#"{"from":"eve","#, 1)).expect("relayed");
    let expected = format!(
        r#"{{"type":"offer","seq":1,"from":"{eves}","incarnation":1,"sdp":{{"type":"offer","sdp":"v=0\r\n"}}}}"#
    );
    assert_eq!((ann.texts(), bob.texts()), (vec![expected.clone()], vec![expected]));

    let answer = format!(
        r#"{{"type":"answer","to":"{eves}","sdp":{{ "x": 1 }},"ref":1,"from":"somebody else"}}"#
    );
    stage.say(&ann, &answer).expect("relayed");
    assert_eq!(
        eve.texts(),
        [r#"{"from":"p1","type":"answer","data":null,"candidate":null,"sdp":{ "x": 1 }}"#]
    );
    assert_eq!(ann.texts(), [format!(r#"{{"type":"delivered","seq":2,"ref":1,"to":["{eves}"]}}"#)]);
    assert!(bob.texts().is_empty(), "it was for eve alone");

    stage.say(&ann, r#"{"type":"ice","candidate":null,"ref":2}"#).expect("relayed");
    assert_eq!(
        bob.texts(),
        [r#"{"type":"ice","seq":2,"from":"p1","incarnation":1,"candidate":null}"#]
    );
    assert!(eve.texts().is_empty(), "a page of protocol 1 can't take the end of candidates");
    assert_eq!(ann.heard()[0]["to"], json!(["p2", eves]));
    stage.say(&eve, r#"{"from":"eve","type":"text","data":"hi","ref":7}"#).expect("relayed");
    assert!(eve.texts().is_empty(), "protocol 1 knows no receipts");
    assert_eq!((ann.types(), bob.types()), (vec!["text".to_owned()], vec!["text".to_owned()]));
}

#[test]
fn a_message_finds_its_receiver_or_an_error() {
    let mut stage = Stage::new();
    let ann = stage.two_quiet();
    let bob = stage.two_quiet();
    ann.texts();
    for to in ["p1", "p9", "", "Server"] {
        let message = json!({"type": "text", "data": "", "to": to}).to_string();
        assert_eq!(stage.say(&ann, &message), Err(MessageError::NoSuchParticipant), "{to}");
    }
    let meant = |incarnation: u64| {
        json!({"type": "ice", "candidate": {}, "to": "p2", "toIncarnation": incarnation})
            .to_string()
    };
    stage.say(&ann, &meant(1)).expect("relayed");
    assert_eq!(bob.types(), ["ice"]);
    let bob = stage.back(&bob, true, None);
    assert_eq!(stage.say(&ann, &meant(1)), Err(MessageError::Stale(2)));
    assert_eq!(bob.types(), ["welcome"]);
    stage.say(&ann, &meant(2)).expect("relayed");
    assert_eq!(bob.types(), ["ice"]);
}

#[test]
fn a_room_without_others_delivers_to_nobody() {
    let mut stage = Stage::new();
    let ann = stage.two_quiet();
    stage.say(&ann, r#"{"type":"text","data":"hello?","ref":"r"}"#).expect("relayed");
    assert_eq!(ann.texts(), [r#"{"type":"delivered","seq":1,"ref":"r","to":[]}"#]);
}

#[test]
fn who_returns_gets_what_has_waited_in_order_and_its_sender_learns() {
    let mut stage = Stage::new();
    let (ann, bob) = (stage.two_quiet(), stage.two_quiet());
    stage.lose(&bob);
    ann.texts();
    stage.say(&ann, &OFFER.replacen('{', r#"{"to":"p2","ref":1,"#, 1)).expect("kept");
    stage.say(&ann, r#"{"type":"ice","to":"p2","candidate":{},"ref":2}"#).expect("kept");
    stage.say(&ann, r#"{"type":"text","data":"to the room"}"#).expect("kept");
    assert_eq!(
        ann.texts(),
        [
            r#"{"type":"queued","seq":1,"ref":1,"to":["p2"]}"#,
            r#"{"type":"queued","seq":2,"ref":2,"to":["p2"]}"#
        ]
    );
    stage.pass(Duration::from_secs(5));
    let bob = stage.back(&bob, false, Some(0));
    let heard = bob.heard();
    let (welcome, waited) = heard.split_first().expect("a welcome first");
    assert_eq!(
        (&welcome["returned"], &welcome["missed"], &welcome["incarnation"]),
        (&json!(true), &json!(0), &json!(1))
    );
    assert_eq!(
        waited.iter().map(|it| (&it["type"], &it["seq"])).collect::<Vec<_>>(),
        [(&json!("offer"), &json!(1)), (&json!("ice"), &json!(2)), (&json!("text"), &json!(3)),]
    );
    assert_eq!(
        ann.texts()[1..],
        [
            r#"{"type":"delivered","seq":3,"ref":1,"to":["p2"]}"#,
            r#"{"type":"delivered","seq":4,"ref":2,"to":["p2"]}"#
        ]
    );
}

/// What a session took may never have left it: the client says what it has seen, and gets the rest
/// again.
#[test]
fn what_was_handed_to_a_broken_transport_comes_again() {
    let mut stage = Stage::new();
    let (ann, bob) = (stage.two_quiet(), stage.two_quiet());
    for n in 1..=4 {
        stage.say(&ann, &text(&n.to_string(), &bob, "r")).expect("relayed");
    }
    stage.lose(&bob);
    stage.say(&ann, &text("5", &bob, "r")).expect("kept");
    ann.texts();
    let bob = stage.back(&bob, false, Some(2));
    let heard = bob.heard();
    assert_eq!((&heard[0]["waiting"], &heard[0]["missed"]), (&json!(3), &json!(0)));
    assert_eq!(
        heard[1..].iter().map(|it| it["data"].as_str().expect("text")).collect::<Vec<_>>(),
        ["3", "4", "5"]
    );
    assert_eq!(ann.types(), ["roster", "delivered"], "only the fifth is news to its sender");
    // It breaks again at once: nothing is lost in between.
    stage.lose(&bob);
    assert_eq!(stage.back(&bob, false, Some(3)).types(), ["welcome", "text", "text"]);
}

#[test]
fn a_session_that_nobody_knows_to_be_broken_is_replaced_by_the_token() {
    let mut stage = Stage::new();
    let (ann, bob) = (stage.two_quiet(), stage.two_quiet());
    ann.texts();
    let other = stage.back(&bob, false, None);
    assert!(bob.session.state.borrow().replaced);
    assert_eq!(other.types(), ["welcome"]);
    assert!(ann.texts().is_empty(), "to the others nothing has happened");
    stage.lose(&bob);
    assert_eq!(stage.room.census(), Census { participants: 2, away: 0 });
    assert_eq!(stage.say(&bob, r#"{"type":"leave"}"#), Ok(()));
    assert_eq!(stage.room.census().participants, 2, "the old session has no say any more");
}

#[test]
fn another_s_token_is_no_key() {
    let mut stage = Stage::new();
    let (ann, bob, eve) = (stage.two_quiet(), stage.two_quiet(), stage.one("eve"));
    let wrong = MessageError::WrongToken(RoomNumber::from(7));
    for (id, token) in [
        (&*ann.id, bob.token),
        (&*ann.id, None),
        (&*ann.id, Token::parse(&"0".repeat(32))),
        (&*eve.id, bob.token),
        ("p99", bob.token),
        ("", bob.token),
    ] {
        let session = stage.session();
        let refused = stage.room.come_back(id, token, false, None, session.clone(), stage.now);
        assert_eq!(refused.as_ref(), Err(&wrong), "{id}");
        assert!(session.state.borrow().heard.is_empty());
    }
    assert!(ann.session.state.borrow().open);
}

#[test]
fn after_the_grace_time_a_participant_is_gone() {
    let mut stage = Stage::new();
    let (ann, bob) = (stage.two_quiet(), stage.two_quiet());
    ann.texts();
    stage.lose(&bob);
    assert_eq!(stage.room.next_timeout(), Some(stage.now + GRACE));
    stage.say(&ann, &text("?", &bob, "r")).expect("kept");
    stage.pass(GRACE - Duration::from_millis(1));
    assert_eq!(ann.types(), ["roster", "queued"]);
    stage.pass(Duration::from_millis(1));
    let heard = ann.heard();
    assert_eq!(
        (&heard[0]["change"], &heard[0]["participant"]["id"]),
        (&json!("left"), &json!("p2"))
    );
    assert_eq!(heard[1], json!({"type": "expired", "seq": 2, "ref": "r", "to": ["p2"]}));
    assert_eq!(stage.room.next_timeout(), None);
    let session = stage.session();
    let late = stage.room.come_back(&bob.id, bob.token, false, None, session, stage.now);
    assert_eq!(late, Err(MessageError::WrongToken(RoomNumber::from(7))));
    assert_eq!(stage.say(&ann, &text("?", &bob, "r")), Err(MessageError::NoSuchParticipant));
}

#[test]
fn a_sender_that_is_away_hears_of_it_later() {
    let mut stage = Stage::new();
    let (ann, bob) = (stage.two_quiet(), stage.two_quiet());
    stage.lose(&bob);
    stage.say(&ann, &text("?", &bob, "r")).expect("kept");
    stage.pass(GRACE / 2);
    stage.lose(&ann);
    stage.pass(GRACE / 2);
    let ann = stage.back(&ann, false, Some(1));
    assert_eq!(ann.heard()[1], json!({"type": "expired", "seq": 2, "ref": "r", "to": ["p2"]}));
}

/// Offers and candidates that were on their way to a page that was reloaded mean nothing to the new
/// one.
#[test]
fn a_new_incarnation_gets_no_signals_of_the_old_one() {
    let mut stage = Stage::new();
    let (ann, bob) = (stage.two_quiet(), stage.two_quiet());
    stage.say(&ann, &text("seen", &bob, "r")).expect("relayed");
    stage.lose(&bob);
    stage.say(&ann, &OFFER.replacen('{', r#"{"to":"p2","ref":"offer","#, 1)).expect("kept");
    stage.say(&ann, &text("wait for me", &bob, "text")).expect("kept");
    ann.texts();
    let bob = stage.back(&bob, true, None);
    let heard = bob.heard();
    assert_eq!((&heard[0]["incarnation"], &heard[0]["missed"]), (&json!(2), &json!(0)));
    assert_eq!(
        (&heard[0]["waiting"], heard.len(), &heard[1]["data"]),
        (&json!(1), 2, &json!("wait for me"))
    );
    let heard = ann.heard();
    assert_eq!(heard[0]["change"], "renewed");
    assert_eq!((&heard[1]["type"], &heard[1]["ref"]), (&json!("expired"), &json!("offer")));
    assert_eq!((&heard[2]["type"], &heard[2]["ref"]), (&json!("delivered"), &json!("text")));
    // What the old incarnation did not get is not missed by the new one, not even after another
    // break.
    stage.lose(&bob);
    assert_eq!(stage.back(&bob, false, None).welcome()["missed"], 0);
}

/// A sender's stale candidates are told from fresh ones by its incarnation.
#[test]
fn messages_carry_the_incarnation_they_were_sent_in() {
    let mut stage = Stage::new();
    let (ann, bob) = (stage.two_quiet(), stage.two_quiet());
    stage.lose(&bob);
    stage.say(&ann, r#"{"type":"ice","candidate":{},"to":"p2"}"#).expect("kept");
    let ann = stage.back(&ann, true, None);
    stage.say(&ann, r#"{"type":"ice","candidate":{},"to":"p2"}"#).expect("kept");
    let bob = stage.back(&bob, false, None);
    let heard = bob.heard();
    assert_eq!(heard[0]["participants"][0]["incarnation"], 2);
    assert_eq!((&heard[1]["incarnation"], &heard[2]["incarnation"]), (&json!(1), &json!(2)));
}

/// A receiver whose queue is full is closed; to its sender that is a receiver that is away.
#[test]
fn who_does_not_read_is_away_and_disturbs_nobody() {
    let mut stage = Stage::new();
    let (ann, bob, eve) = (stage.two_quiet(), stage.two_quiet(), stage.two_quiet());
    let page = stage.one("page");
    for client in [&ann, &bob, &eve, &page] {
        client.texts();
    }
    bob.session.state.borrow_mut().capacity = 1;
    page.session.state.borrow_mut().capacity = 1;
    let one = r#"{"type":"text","data":"1","ref":1}"#;
    let two = r#"{"type":"text","data":"2","ref":2}"#;
    stage.say(&ann, one).expect("relayed");
    stage.say(&ann, two).expect("relayed");
    let page_id = &page.id;
    assert_eq!(
        ann.texts()[..4],
        [
            format!(r#"{{"type":"delivered","seq":1,"ref":1,"to":["p2","p3","{page_id}"]}}"#),
            r#"{"type":"delivered","seq":2,"ref":2,"to":["p3"]}"#.to_owned(),
            r#"{"type":"queued","seq":3,"ref":2,"to":["p2"]}"#.to_owned(),
            format!(r#"{{"type":"expired","seq":4,"ref":2,"to":["{page_id}"]}}"#),
        ]
    );
    assert_eq!(eve.types(), ["text", "text", "roster", "roster"]);
    assert_eq!(stage.room.census(), Census { participants: 3, away: 1 });
    let bob = stage.back(&bob, false, Some(1));
    assert_eq!(bob.heard()[1]["data"], "2");
}

#[test]
fn a_mailbox_is_bounded_and_says_so() {
    for config in [RoomsConfig::new().mailbox_messages(3), RoomsConfig::new().mailbox_bytes(3 * 70)]
    {
        let mut stage = Stage::with(config);
        let (ann, bob, eve) = (stage.two_quiet(), stage.two_quiet(), stage.two_quiet());
        stage.lose(&bob);
        ann.texts();
        for n in 0..3 {
            stage
                .say(&ann, &json!({"type": "text", "data": n.to_string()}).to_string())
                .expect("kept");
        }
        assert!(ann.texts().is_empty());
        stage.say(&ann, r#"{"type":"text","data":"3","ref":3}"#).expect("relayed to eve");
        let heard = ann.heard();
        assert_eq!((&heard[0]["code"], &heard[0]["to"]), (&json!("mailbox_full"), &json!(["p2"])));
        let message = heard[0]["message"].as_str().expect("text");
        assert!(
            message.contains("mailbox_messages is ") && message.contains("mailbox_bytes is "),
            "{message}"
        );
        assert_eq!(
            (&heard[1]["type"], &heard[1]["to"], heard.len()),
            (&json!("delivered"), &json!(["p3"]), 2)
        );
        assert_eq!(eve.types().len(), 5, "away, and all four texts");
        let heard = stage.back(&bob, false, None).heard();
        assert_eq!(
            (&heard[0]["missed"], heard.len()),
            (&json!(0), 4),
            "what was refused is not missed: its sender knows"
        );
    }
}

/// 900 participants that were away held 225 MB, and the defaults allowed 4 GB: what is kept counts
/// with all else in the process, and when memory is short the sender hears that it was not kept.
#[test]
fn mailboxes_count_in_the_budget_and_are_full_while_memory_is_short() {
    let budget = Budget::new(1 << 20);
    let mut stage = Stage::with(RoomsConfig::default().budget(budget.clone()));
    let (ann, bob) = (stage.two_quiet(), stage.two_quiet());
    stage.lose(&bob);
    ann.texts();
    let before = budget.used();
    let text = json!({"type": "text", "data": "x".repeat(10_000)}).to_string();
    for _ in 0..3 {
        stage.say(&ann, &text).expect("kept");
    }
    let kept = budget.used() - before;
    assert!((30_000..40_000).contains(&kept), "{kept}");
    assert!(ann.texts().is_empty());

    let others = budget.hold(1 << 20);
    stage.say(&ann, &text).expect("the sender stays");
    assert_eq!(ann.heard()[0]["code"], "mailbox_full");
    assert_eq!(budget.used() - before - (1 << 20), kept);
    drop(others);
    stage.say(&ann, &text).expect("kept again");
    assert!(ann.texts().is_empty());

    let heard = stage.back(&bob, false, None).heard();
    assert_eq!((&heard[0]["missed"], heard.len()), (&json!(0), 5));
    drop(stage);
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_can_not_be_sent_again_is_counted() {
    let mut stage = Stage::with(RoomsConfig::new().mailbox_messages(3));
    let (ann, bob) = (stage.two_quiet(), stage.two_quiet());
    for n in 0..5 {
        stage.say(&ann, &text(&n.to_string(), &bob, "r")).expect("relayed");
    }
    stage.lose(&bob);
    let bob = stage.back(&bob, false, Some(1));
    let heard = bob.heard();
    assert_eq!((&heard[0]["missed"], heard.len(), &heard[1]["seq"]), (&json!(1), 4, &json!(3)));
    assert_eq!(heard[0]["waiting"], 3, "those that can be sent");
    // Receipts that find no room are counted as well.
    for n in 0..5 {
        stage.say(&bob, &text(&n.to_string(), &ann, "r")).expect("relayed");
    }
    stage.lose(&bob);
    assert_eq!(stage.back(&bob, false, Some(5)).heard()[0]["missed"], 2);
}

#[test]
fn a_room_has_a_limit_that_those_who_return_do_not_meet() {
    let mut stage = Stage::with(RoomsConfig::new().participants_per_room(2));
    let (ann, bob) = (stage.two_quiet(), stage.one("bob"));
    let full = MessageError::RoomFull { room: RoomNumber::from(7), limit: 2 };
    assert!(full.to_string().contains("participants_per_room is 2"));
    assert_eq!(stage.try_one("eve").expect_err("full"), full);
    let (session, identity) = (stage.session(), stage.identity());
    assert_eq!(stage.room.join_two(identity, None, session.clone(), stage.now), Err(full));
    assert!(session.state.borrow().heard.is_empty());
    stage.lose(&ann);
    stage.back(&ann, false, None);
    bob.session.state.borrow_mut().attached = false;
    stage.one("bob");
    assert_eq!(stage.room.census(), Census { participants: 2, away: 0 });
}

/// One step of the property test.
#[derive(Clone, Debug)]
enum Step {
    Say {
        from: usize,
        to: Option<usize>,
    },
    /// The transport breaks, and the last of what it took never arrives.
    Break {
        who: usize,
        lost: usize,
        noticed: bool,
    },
    Return {
        who: usize,
    },
    Pass {
        millis: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3usize, prop::option::of(0..3usize)).prop_map(|(from, to)| Step::Say { from, to }),
        2 => (0..3usize, 0..4usize, any::<bool>()).prop_map(|(who, lost, noticed)| Step::Break { who, lost, noticed }),
        2 => (0..3usize).prop_map(|who| Step::Return { who }),
        1 => (0..2_000u64).prop_map(|millis| Step::Pass { millis }),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    /// Whatever breaks and returns within the grace time: every text reaches each of its receivers
    /// once, in order.
    #[test]
    fn nothing_is_lost_twice_or_out_of_order(steps in steps()) {
        let mut stage = Stage::with(RoomsConfig::new().grace(Duration::from_secs(3_600)));
        let mut clients: Vec<_> = (0..3).map(|_| stage.two_quiet()).collect();
        let mut got: Vec<Vec<Value>> = vec![Vec::new(); 3];
        let mut due: Vec<Vec<String>> = vec![Vec::new(); 3];
        let mut connected = [true; 3];
        let seen = |got: &[Value]| got.last().map_or(0, |it: &Value| it["seq"].as_u64().expect("a number"));
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Say { from, to } if connected[from] => {
                    let data = format!("{from}:{n}");
                    let mut message = json!({"type": "text", "data": data, "ref": n});
                    if let Some(to) = to.filter(|to| *to != from) {
                        message["to"] = json!(&*clients[to].id);
                        due[to].push(data);
                    } else {
                        (0..3).filter(|other| *other != from).for_each(|other| due[other].push(data.clone()));
                    }
                    stage.say(&clients[from], &message.to_string()).expect("taken");
                }
                Step::Break { who, lost, noticed } if connected[who] => {
                    let mut heard: Vec<_> = clients[who].heard().into_iter().filter(|it| it["seq"].is_u64()).collect();
                    heard.truncate(heard.len().saturating_sub(lost));
                    got[who].extend(heard);
                    connected[who] = false;
                    if noticed {
                        stage.lose(&clients[who]);
                    }
                }
                Step::Return { who } => {
                    if connected[who] {
                        got[who].extend(clients[who].heard().into_iter().filter(|it| it["seq"].is_u64()));
                    }
                    connected[who] = true;
                    clients[who] = stage.back(&clients[who], false, Some(seen(&got[who])));
                }
                Step::Pass { millis } => stage.pass(Duration::from_millis(millis)),
                Step::Say { .. } | Step::Break { .. } => {}
            }
        }
        for who in 0..3 {
            if !connected[who] {
                clients[who] = stage.back(&clients[who], false, Some(seen(&got[who])));
            }
        }
        for who in 0..3 {
            got[who].extend(clients[who].heard().into_iter().filter(|it| it["seq"].is_u64()));
            let numbers: Vec<_> = got[who].iter().map(|it| it["seq"].as_u64().expect("a number")).collect();
            prop_assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{:?}", numbers);
            let texts: Vec<_> =
                got[who].iter().filter(|it| it["type"] == "text").map(|it| it["data"].as_str().expect("text")).collect();
            prop_assert_eq!(texts, due[who].iter().map(String::as_str).collect::<Vec<_>>());
            // Each message has one fate in the end, whatever was said of it on the way.
            for fate in ["delivered", "queued", "expired"] {
                let of_fate = got[who].iter().filter(|it| it["type"] == fate);
                let mut pairs: Vec<_> = of_fate.flat_map(|it| {
                    let to = it["to"].as_array().expect("a list").clone();
                    to.into_iter().map(move |to| (it["ref"].to_string(), to.to_string()))
                }).collect();
                let all = pairs.len();
                pairs.sort();
                pairs.dedup();
                prop_assert_eq!(pairs.len(), all, "{} told twice", fate);
            }
        }
    }
}

#[test]
fn a_way_back_needs_both_id_and_token() {
    let parsed =
        Incoming::parse(r#"{"type":"join","protocol":2,"room":1,"id":"a","token":"nonsense"}"#);
    assert!(matches!(parsed, Ok(Incoming::JoinTwo { way: Way::Back { token: None, .. }, .. })));
}
