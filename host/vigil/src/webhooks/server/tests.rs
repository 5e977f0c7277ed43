mod bounds;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::webhooks::signature::Secrets;
use crate::webhooks::{About, Keyring, Wake};

const SECRET: &str = "a secret of the tests";
const BODY: &str =
    r#"{"action":"closed","issue":{"number":7},"repository":{"full_name":"acme/app"}}"#;

/// A server on loopback, and what it queues.
struct Stage {
    listening: Listening,
    inbox: Inbox,
}

impl Stage {
    async fn new() -> Stage {
        Stage::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Stage {
        let settings = Settings {
            secrets: Keyring::of(
                Secrets::parse(&format!("the next one\n{SECRET}")).expect("secrets"),
            ),
            hosts: BTreeSet::from(["127.0.0.1".to_owned(), "vigil.example.org".to_owned()]),
            limits,
        };
        let inbox = Inbox::default();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listening = listen(address, settings, inbox.clone()).await;
        Stage {
            listening: listening.expect("a port"),
            inbox,
        }
    }

    /// A connection that is left to the test.
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.listening.address())
            .await
            .expect("a connection")
    }

    /// Sends `request` as it is, and gives the answer's status. The server ends the connection.
    async fn send(&self, request: &[u8]) -> u16 {
        let mut stream = self.connect().await;
        stream.write_all(request).await.expect("it is taken");
        status(&mut stream).await
    }

    async fn post(&self, delivery: &Delivery<'_>) -> u16 {
        self.send(&delivery.request()).await
    }

    fn counts(&self) -> Counts {
        self.listening.counters()
    }

    fn taken(&self) -> Vec<u64> {
        let number = |wake: Wake| match wake.about {
            About::Number(number) => number,
            other => panic!("{other:?}"),
        };
        self.inbox.take().into_iter().map(number).collect()
    }
}

async fn status(stream: &mut TcpStream) -> u16 {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    let answer = String::from_utf8(answer).expect("text");
    let status = answer.split(' ').nth(1).map(str::parse);
    match status {
        Some(Ok(status)) => status,
        _ => panic!("no answer: {answer}"),
    }
}

/// A delivery as GitHub sends it, but for what a test changes.
#[derive(Clone)]
struct Delivery<'a> {
    start: &'a str,
    host: &'a str,
    event: Option<&'a str>,
    id: &'a str,
    body: &'a [u8],
    /// `None`: made with the secret.
    signature: Option<&'a str>,
    more: &'a str,
}

impl Default for Delivery<'_> {
    fn default() -> Self {
        Delivery {
            start: "POST /webhooks/github HTTP/1.1",
            host: "127.0.0.1:8737",
            event: Some("issues"),
            id: "0b989ba4-242f-11e5-81e1-c7b6966d2516",
            body: BODY.as_bytes(),
            signature: None,
            more: "",
        }
    }
}

impl Delivery<'_> {
    fn head(&self) -> String {
        let made = sign(self.body);
        let signature = self.signature.unwrap_or(&made);
        let mut head = format!("{}\r\nHost: {}\r\n", self.start, self.host);
        for (name, value) in [
            ("User-Agent", "GitHub-Hookshot/044aadd"),
            ("X-GitHub-Event", self.event.unwrap_or_default()),
            ("X-GitHub-Delivery", self.id),
            ("X-Hub-Signature-256", signature),
        ] {
            if !value.is_empty() {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        head.push_str(self.more);
        head
    }

    fn request(&self) -> Vec<u8> {
        let head = format!("{}Content-Length: {}\r\n\r\n", self.head(), self.body.len());
        [head.as_bytes(), self.body].concat()
    }

    /// Without a length, in pieces.
    fn chunked(&self, piece: usize) -> Vec<u8> {
        let mut request = format!("{}Transfer-Encoding: chunked\r\n\r\n", self.head()).into_bytes();
        for chunk in self.body.chunks(piece) {
            request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            request.extend(chunk);
            request.extend(b"\r\n");
        }
        request.extend(b"0\r\n\r\n");
        request
    }
}

fn sign(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length will do");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn small() -> Limits {
    Limits {
        body_bytes_max: 1000,
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_genuine_delivery_wakes() {
    let stage = Stage::new().await;
    let woken = tokio::spawn({
        let inbox = stage.inbox.clone();
        async move { inbox.woken().await }
    });
    assert_eq!(stage.post(&Delivery::default()).await, 202);
    woken.await.expect("it is woken");
    assert_eq!(stage.taken(), [7]);
    let counts = Counts {
        received: 1,
        wakes: 1,
        ..Counts::default()
    };
    assert_eq!(stage.counts(), counts);
}

#[tokio::test]
async fn a_form_is_a_delivery_too() {
    let stage = Stage::new().await;
    let body: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", BODY)
        .finish();
    let delivery = Delivery {
        body: body.as_bytes(),
        more: "Content-Type: application/x-www-form-urlencoded\r\n",
        ..Delivery::default()
    };
    assert_eq!(stage.post(&delivery).await, 202);
    assert_eq!(stage.taken(), [7]);
    let empty = Delivery {
        body: b"other=1",
        id: "2",
        ..delivery
    };
    assert_eq!(stage.post(&empty).await, 200);
    assert_eq!(stage.counts().unparsable, 1);
}

#[tokio::test]
async fn a_forged_delivery_wakes_nobody_and_takes_no_name() {
    let stage = Stage::new().await;
    let genuine = sign(BODY.as_bytes());
    let of_another = sign(b"another");
    let short = &genuine[..genuine.len() - 2];
    let long = format!("{genuine}00");
    let twice = format!("X-Hub-Signature-256: {genuine}\r\n");
    let mut forged = vec![Delivery {
        // As if the header were not there, then twice.
        more: &twice,
        ..Delivery::default()
    }];
    for signature in ["", "sha256=", "sha1=00", &of_another, short, &long] {
        forged.push(Delivery {
            signature: Some(signature),
            ..Delivery::default()
        });
    }
    for delivery in &forged {
        assert_eq!(stage.post(delivery).await, 401, "{:?}", delivery.signature);
    }
    assert_eq!(stage.counts().forged, forged.len() as u64);
    assert_eq!(stage.inbox.take(), []);
    // The genuine one of the same name is no duplicate.
    assert_eq!(stage.post(&Delivery::default()).await, 202);
}

#[tokio::test]
async fn a_doubled_delivery_is_heard_once_and_reordered_ones_in_any_order() {
    let stage = Stage::new().await;
    let body = |number: u64| {
        format!(r#"{{"issue":{{"number":{number}}},"repository":{{"full_name":"acme/app"}}}}"#)
    };
    for (id, number, expected) in [
        ("c", 3, 202),
        ("a", 1, 202),
        ("c", 3, 200),
        ("b", 2, 202),
        ("a", 1, 200),
        // Another delivery about the same: one wake.
        ("d", 3, 202),
    ] {
        let body = body(number);
        let delivery = Delivery {
            id,
            body: body.as_bytes(),
            ..Delivery::default()
        };
        assert_eq!(stage.post(&delivery).await, expected, "{id}");
    }
    assert_eq!(stage.taken(), [1, 2, 3]);
    let counts = stage.counts();
    assert_eq!((counts.duplicates, counts.wakes), (2, 3));
}

#[tokio::test]
async fn a_delivery_that_failed_may_come_again() {
    let stage = Stage::new().await;
    let wake = |number: u64| Wake {
        repo: "acme/other".to_owned(),
        about: About::Number(number),
        updated: None,
    };
    let full = (0..super::super::inbox::WAKES_MAX as u64)
        .map(wake)
        .collect();
    stage.inbox.put(None, full);
    assert_eq!(stage.post(&Delivery::default()).await, 503);
    assert_eq!(stage.counts().no_room, 1);
    stage.inbox.take();
    assert_eq!(stage.post(&Delivery::default()).await, 202);
    assert_eq!(stage.taken(), [7]);
}

#[tokio::test]
async fn another_host_a_browser_and_another_path_are_refused() {
    let stage = Stage::new().await;
    let genuine = Delivery::default();
    let mut refused = 0;
    for (delivery, expected) in [
        (
            Delivery {
                host: "evil.example",
                ..genuine.clone()
            },
            421,
        ),
        (
            Delivery {
                host: "127.0.0.1.evil.example",
                ..genuine.clone()
            },
            421,
        ),
        (
            Delivery {
                host: "127.0.0.1@evil.example",
                ..genuine.clone()
            },
            421,
        ),
        (
            Delivery {
                host: "127.0.0.1",
                more: "Host: evil.example\r\n",
                ..genuine.clone()
            },
            421,
        ),
        (
            Delivery {
                start: "POST http://evil.example/webhooks/github HTTP/1.1",
                ..genuine.clone()
            },
            421,
        ),
        (
            Delivery {
                more: "Origin: null\r\n",
                ..genuine.clone()
            },
            403,
        ),
        (
            Delivery {
                more: "Origin: https://evil.example\r\n",
                ..genuine.clone()
            },
            403,
        ),
        (
            Delivery {
                start: "GET /webhooks/github HTTP/1.1",
                ..genuine.clone()
            },
            405,
        ),
        (
            Delivery {
                start: "PUT /webhooks/github HTTP/1.1",
                ..genuine.clone()
            },
            405,
        ),
        (
            Delivery {
                start: "OPTIONS /webhooks/github HTTP/1.1",
                ..genuine.clone()
            },
            405,
        ),
        (
            Delivery {
                start: "POST / HTTP/1.1",
                ..genuine.clone()
            },
            404,
        ),
        (
            Delivery {
                start: "POST /webhooks/github/x HTTP/1.1",
                ..genuine.clone()
            },
            404,
        ),
        (
            Delivery {
                start: "GET /../etc/passwd HTTP/1.1",
                ..genuine.clone()
            },
            404,
        ),
    ] {
        assert_eq!(
            stage.post(&delivery).await,
            expected,
            "{} {} {}",
            delivery.start,
            delivery.host,
            delivery.more
        );
        refused += 1;
        assert_eq!(stage.counts().refused, refused);
    }
    let no_host = stage.send(b"POST /webhooks/github HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(no_host.await, 421);
    assert_eq!(stage.counts().received, 0);
    let public = Delivery {
        host: "VIGIL.example.org",
        ..genuine
    };
    assert_eq!(stage.post(&public).await, 202);
}

#[tokio::test]
async fn what_is_not_understood_is_counted_and_no_error() {
    let stage = Stage::new().await;
    let unknown = Delivery {
        event: Some("marketplace_purchase"),
        id: "1",
        ..Delivery::default()
    };
    assert_eq!(stage.post(&unknown).await, 200);
    let unparsable = Delivery {
        body: b"{\"issue\": \xff",
        id: "2",
        ..Delivery::default()
    };
    assert_eq!(stage.post(&unparsable).await, 200);
    let no_event = Delivery {
        event: None,
        id: "3",
        ..Delivery::default()
    };
    assert_eq!(stage.post(&no_event).await, 400);
    let counts = Counts {
        received: 3,
        unknown: 1,
        unparsable: 2,
        ..Counts::default()
    };
    assert_eq!(stage.counts(), counts);
    assert_eq!(stage.inbox.take(), []);
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let stage = Stage::new().await;
    let settings = Settings {
        secrets: Keyring::of(Secrets::parse(SECRET).expect("a secret")),
        hosts: BTreeSet::new(),
        limits: Limits::default(),
    };
    let address = stage.listening.address();
    let second = listen(address, settings, Inbox::default()).await;
    let failure = second.expect_err("the port is in use");
    assert_eq!(failure.kind.exit_code(), 2);
    let text = format!("{failure} {:?}", failure.hints());
    assert!(
        text.contains(&address.to_string()) && text.contains("in use") && text.contains("port 0"),
        "{text}"
    );
}

#[tokio::test]
async fn a_stop_lets_a_delivery_finish_and_frees_the_port() {
    let stage = Stage::new().await;
    let address = stage.listening.address();
    let request = Delivery::default().request();
    let (first_half, second_half) = request.split_at(request.len() - 5);
    let mut stream = stage.connect().await;
    stream.write_all(first_half).await.expect("it is taken");
    // The server has it in hand once another, later one is answered.
    let other = Delivery {
        id: "other",
        event: Some("ping"),
        ..Delivery::default()
    };
    assert_eq!(stage.post(&other).await, 202);
    let Stage { listening, inbox } = stage;
    let stopping = tokio::spawn(listening.stop());
    stream.write_all(second_half).await.expect("it is taken");
    assert_eq!(status(&mut stream).await, 202);
    stopping.await.expect("it stops");
    assert_eq!(inbox.take().len(), 1);
    assert!(TcpStream::connect(address).await.is_err());
}
