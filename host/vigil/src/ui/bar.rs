//! How far asking GitHub has come, on standard error, and log lines that keep clear of it.

use std::io::{self, IsTerminal as _, Write};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Ui;

/// Where a bar is drawn, for each time that one appears.
type Target = Box<dyn Fn() -> ProgressDrawTarget + Send + Sync>;

/// 1 s: what is over by then, as most passes of a daemon are, would only flicker.
const APPEARS_AFTER: Duration = Duration::from_secs(1);

/// A bar that comes and goes with the passes that need one. Clones are the same bar.
#[derive(Clone)]
pub struct Bar(Arc<Shared>);

struct Shared {
    /// `None`: nobody watches.
    target: Option<Target>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The pass has taken so long that somebody may wonder.
    is_late: bool,
    /// Questions that are dealt with, and all of them.
    at: (u64, u64),
    /// `None`: there is none at this moment, so that whatever is written needs no room made for it.
    drawn: Option<ProgressBar>,
}

impl Bar {
    /// On standard error, where that is a terminal and a person reads the results.
    pub fn new(ui: Ui) -> Bar {
        let watched = !ui.json && io::stderr().is_terminal();
        Bar::with(watched.then(|| Box::new(ProgressDrawTarget::stderr) as Target))
    }

    fn with(target: Option<Target>) -> Bar {
        Bar(Arc::new(Shared {
            target,
            state: Mutex::default(),
        }))
    }

    /// Waits for a pass, with a bar when that takes long. Who does not wait to its end calls [`Bar::clear`].
    pub async fn over<T>(&self, pass: impl Future<Output = T>) -> T {
        self.over_unless(tokio::time::sleep(APPEARS_AFTER), pass)
            .await
    }

    /// The same, with what shows that it takes long.
    async fn over_unless<T>(
        &self,
        late: impl Future<Output = ()>,
        pass: impl Future<Output = T>,
    ) -> T {
        let mut pass = pin!(pass);
        let passed = tokio::select! {
            biased;
            passed = &mut pass => Some(passed),
            () = late => None,
        };
        let passed = match passed {
            Some(passed) => passed,
            None => {
                self.is_late();
                pass.await
            }
        };
        self.clear();
        passed
    }

    /// Shows that `done` of `total` questions are dealt with, once the pass is late.
    pub fn show(&self, done: u64, total: u64) {
        let mut state = self.state();
        state.at = (done, total);
        self.draw(&mut state);
    }

    /// Takes it away, if it is there.
    pub fn clear(&self) {
        let state = std::mem::take(&mut *self.state());
        if let Some(bar) = state.drawn {
            bar.finish_and_clear();
        }
    }

    fn is_late(&self) {
        let mut state = self.state();
        state.is_late = true;
        self.draw(&mut state);
    }

    /// A bar appears only while something is left to be asked.
    fn draw(&self, state: &mut State) {
        let ((done, total), Some(target)) = (state.at, &self.0.target) else {
            return;
        };
        if state.drawn.is_none() && (!state.is_late || done >= total) {
            return;
        }
        match &state.drawn {
            // Its next tick shows it.
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(done);
            }
            None => state.drawn = Some(appear(target(), done, total)),
        }
    }

    /// The same lines as `to` would get, each whole and none in the middle of the bar.
    pub fn beside<W: Write>(&self, to: W) -> Beside<W> {
        Beside {
            bar: self.clone(),
            to,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panic elsewhere left behind is a bar all the same.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn appear(target: ProgressDrawTarget, done: u64, total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), target)
        .with_position(done)
        .with_message("asking GitHub");
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} after {elapsed}");
    let bar = match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    bar.tick();
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A writer that moves the bar out of the way of what it writes.
pub struct Beside<W> {
    bar: Bar,
    to: W,
}

impl<W: Write> Write for Beside<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Whole, since the bar comes back in between.
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let state = self.bar.state();
        match &state.drawn {
            Some(bar) => bar.suspend(|| self.to.write_all(bytes)),
            None => self.to.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use indicatif::TermLike;

    use super::*;

    /// A terminal of one line.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<Shown>>);

    #[derive(Debug, Default)]
    struct Shown {
        /// The lines above.
        lines: Vec<String>,
        /// What stands in the line.
        line: String,
        /// What is drawn there, until it is flushed: the bar is also drawn by its own thread.
        drawing: String,
    }

    impl Screen {
        fn look(&self) -> (Vec<String>, String) {
            let shown = self.0.lock().expect("no panic");
            (shown.lines.clone(), shown.line.clone())
        }

        fn bar(&self) -> Bar {
            let screen = self.clone();
            let target = move || ProgressDrawTarget::term_like(Box::new(screen.clone()));
            Bar::with(Some(Box::new(target)))
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            60
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().expect("no panic").drawing.push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().expect("no panic").drawing.clear();
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            let mut shown = self.0.lock().expect("no panic");
            shown.line = shown.drawing.clone();
            Ok(())
        }
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut shown = self.0.lock().expect("no panic");
            // A log line begins where the cursor is: behind the bar, if that is still there.
            let line = format!("{}{}", shown.line, String::from_utf8_lossy(bytes));
            shown.lines.push(line.trim_end().to_owned());
            shown.line.clear();
            shown.drawing.clear();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_pass_that_is_over_soon_or_asks_nothing_shows_no_bar() {
        let screen = Screen::default();
        let bar = screen.bar();
        bar.show(0, 3);
        bar.show(3, 3);
        assert_eq!(screen.look().1, "", "there was no time to wonder");
        bar.clear();
        bar.is_late();
        bar.show(3, 3);
        assert_eq!(screen.look().1, "", "nothing is left to be asked");
        bar.clear();
        assert_eq!(screen.look(), (Vec::new(), String::new()));
    }

    #[test]
    fn a_log_line_is_whole_while_the_bar_stands_and_the_bar_goes_with_the_pass() {
        let screen = Screen::default();
        let bar = screen.bar();
        bar.show(250, 1000);
        bar.is_late();
        let shown = screen.look().1;
        assert!(
            shown.contains("asking GitHub") && shown.contains("250/1000"),
            "{shown}"
        );

        let mut log = bar.beside(screen.clone());
        log.write_all(b"session moved\n").expect("a line");
        let (lines, shown) = screen.look();
        assert_eq!(lines, ["session moved"], "nothing of the bar before it");
        assert!(shown.contains("250/1000"), "it is back: {shown}");

        bar.clear();
        assert_eq!(screen.look().1, "");
        log.write_all(b"pass\n").expect("a line");
        bar.show(1, 2);
        let (lines, shown) = screen.look();
        assert_eq!(
            (lines.len(), shown.as_str()),
            (2, ""),
            "the next pass begins"
        );
        bar.is_late();
        assert!(screen.look().1.contains("1/2"), "and has a bar of its own");
        bar.clear();
    }

    #[tokio::test]
    async fn a_bar_comes_when_a_pass_takes_long_and_goes_with_it() {
        let screen = Screen::default();
        let bar = screen.bar();
        let pass = async || {
            bar.show(1, 3);
            tokio::task::yield_now().await;
            screen.look().1
        };
        let soon = bar.over_unless(std::future::pending(), pass());
        assert_eq!(soon.await, "");
        let late = bar.over_unless(std::future::ready(()), pass());
        let shown = late.await;
        assert!(shown.contains("1/3"), "{shown}");
        assert_eq!(screen.look().1, "", "it went with the pass");
    }
}
