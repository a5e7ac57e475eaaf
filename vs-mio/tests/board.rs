//! The example `board` as processes of its own, with clients that are not its page: hostile ones,
//! and one that draws. `.ci/browser/board.mjs` does the same with browsers.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use tungstenite::{Message, WebSocket, client::IntoClientRequest};

/// Only ends a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process of the board; it is killed when the value is dropped.
struct Board {
    child: Child,
    addr: SocketAddr,
}

impl Board {
    fn start(id: u64, test: u8) -> Self {
        let port = 20_000 + (std::process::id() % 20_000) as u16;
        let multicast = SocketAddrV4::new(Ipv4Addr::new(239, 255, 81, test), port).to_string();
        let test = std::env::current_exe().expect("a test has a file");
        let program = test.ancestors().nth(2).expect("target/debug").join("examples/board");
        let mut command = Command::new(program);
        command.args([&id.to_string(), "127.0.0.1:0", &multicast]).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|why| panic!("{why}; build it: cargo build -p vs-mio --example board"));
        let mut line = String::new();
        let said = child.stdout.take().expect("it is piped");
        BufReader::new(said).read_line(&mut line).expect("it says where it listens");
        let addr = line.trim().rsplit_once("http://").expect("an address").1;
        Self { addr: addr.parse().expect("an address"), child }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// What is answered to a request, up to the end of the connection.
    fn ask(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        let mut answer = Vec::new();
        let _ = stream.write_all(request).and_then(|()| stream.read_to_end(&mut answer));
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn page(&self, origin: &str) -> Result<Page, String> {
        let mut request = format!("ws://{}/ws", self.addr).into_client_request().expect("a URL");
        request.headers_mut().insert("origin", origin.parse().expect("a header"));
        let shaken = tungstenite::client(request, self.connect());
        shaken.map(|(socket, _)| Page(socket)).map_err(|why| why.to_string())
    }

    fn own_page(&self) -> Page {
        self.page(&format!("http://{}", self.addr)).expect("it is let in")
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Page(WebSocket<TcpStream>);

impl Page {
    fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).expect("it is taken");
    }

    /// Waits for a text with these words.
    fn until(&mut self, words: &str) -> String {
        loop {
            let text = self.0.read().expect("it goes on").into_text().expect("a text");
            if text.contains(words) {
                return text.to_string();
            }
        }
    }

    /// Whether the other side hangs up on what was sent.
    fn hangs_up(mut self, message: Message) -> bool {
        let _ = self.0.send(message);
        (0..1000).any(|_| self.0.read().is_err())
    }
}

fn stroke(id: &str) -> String {
    format!(r##"{{"id":"{id}","colour":"#aa0000","width":4,"points":[1,2,30,40]}}"##)
}

#[test]
fn hostile_clients_change_nothing() {
    let board = Board::start(1, 1);
    let mut good = board.own_page();
    good.say(r##"{"user":["ann","#123456"]}"##);
    good.until(r##"["ann","#123456"]"##);

    let page = board.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.trim_end().ends_with("</script>"));
    for junk in [&[0_u8; 20_000][..], b"GET /ws HTTP/1.1\r\n\r\n", b"\r\n\r\n", &[b'a'; 9_000]] {
        board.ask(junk);
    }
    let foreign = board.page("http://elsewhere.example");
    assert!(foreign.is_err_and(|why| why.contains("403")));

    let long = stroke(&"i".repeat(41));
    let far = format!(
        r##"{{"id":"x","colour":"#aa0000","width":4,"points":[{}1]}}"##,
        "1,".repeat(9_000)
    );
    let odd = stroke("x").replace("1,2,30", "1,2");
    let here = r#"{"at":"127.0.0.1:1","view":[0,0],"users":[]}"#;
    let style = stroke("x").replace("#aa0000", "red;url(x)");
    for junk in ["", "{", "[]", "null", &long, &far, &odd, here, &style, &"[".repeat(8_000)] {
        assert!(board.own_page().hangs_up(Message::text(junk)), "{junk}");
    }
    assert!(board.own_page().hangs_up(Message::binary(vec![0; 1 << 20])));
    assert!(board.own_page().hangs_up(Message::binary(vec![0])));

    // A thousand who say nothing: their places go to those who come later.
    let idle: Vec<_> = (0..1000).filter_map(|_| TcpStream::connect(board.addr).ok()).collect();
    assert!(idle.len() > 100);
    good.say(&stroke("mine"));
    good.until("mine");
    let mut late = board.own_page();
    late.until("mine");
}

#[test]
fn strokes_outlive_the_process_they_were_drawn_at() {
    let mut one = Board::start(1, 2);
    let two = Board::start(2, 2);
    let [mut ann, mut bob] = [one.own_page(), two.own_page()];
    for number in 0..200 {
        ann.say(&stroke(&format!("a{number}.")));
        bob.say(&stroke(&format!("b{number}.")));
    }
    ann.until("a199.");
    ann.until(&two.addr.to_string());
    one.child.kill().expect("it can be killed");
    // What was shown to her is there for who comes now.
    let mut late = two.own_page();
    let strokes: Vec<_> = (0..400).map(|_| late.until(r#""id""#)).collect();
    // Sent anew, it is shown once.
    late.say(&stroke("a7."));
    late.say(&stroke("new"));
    assert!(late.until(r#""id""#).contains("new"));
    let three = Board::start(3, 2);
    let mut cat = three.own_page();
    assert_eq!(strokes, (0..400).map(|_| cat.until(r#""id""#)).collect::<Vec<_>>());
    bob.until("new");
}
