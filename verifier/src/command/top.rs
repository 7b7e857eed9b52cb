//! `ledgerstone top`: a running sidecar in one frame, drawn again and again.
//!
//! Guarantees: the terminal is as it was before, whichever key or signal ends this (but for SIGKILL); a sidecar that is gone is said and
//! waited for; what it says of names reaches the terminal without control characters; a sidecar that hangs holds up nobody's key.
//! Does not do: keeping a history longer than the strip it draws, or judging (`ledgerstone doctor`).

mod document;
mod frame;
mod line;
mod sample;

use std::io::{self, IsTerminal as _, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{Event, KeyCode, KeyModifiers, poll, read};
use crossterm::terminal::{
    Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{execute, queue};

use crate::cli::TopArguments;
use crate::exit::{Exit, Refusal};
use crate::output::Output;
use crate::source::Web;

use document::document;
use frame::{Screen, draw};
use sample::{Heard, Sample};

/// How often a key is looked for.
const TICK: Duration = Duration::from_millis(100);

/// How long `--once` waits between its two looks, at most.
const ONCE: Duration = Duration::from_secs(1);

/// Columns and lines where no terminal says.
const PLAIN: Screen = Screen { width: 80, height: usize::MAX, colour: false };

/// Shows the sidecar until somebody asks to end.
///
/// # Errors
/// The address or what is shown to it cannot be used; with `--once` also that the sidecar does not answer.
pub(super) fn run(arguments: &TopArguments, output: &mut Output) -> Result<Exit, Refusal> {
    if !arguments.admin.starts_with("http://") && !arguments.admin.starts_with("https://") {
        return Err(Refusal::usage(
            format_args!("`{}` is no address of an admin port", arguments.admin),
            "Write http:// or https:// and host and port of server.admin_listen.",
        ));
    }
    let web = Web::new(&arguments.admin, &arguments.network.options())?;
    let every = Duration::from_secs(arguments.every);
    if arguments.once {
        return once(&web, every.min(ONCE), output);
    }
    if output.is_json() {
        return lines(&web, every, output);
    }
    if !io::stdout().is_terminal() {
        return Err(no_terminal(io::Error::other("standard output is none")));
    }
    let colour = output.style().colour;
    let (tell, looks) = channel();
    end_on_signals(tell.clone()).map_err(no_terminal)?;
    // Ends with the process: nobody waits for an answer that nobody wants any more.
    thread::spawn(move || {
        loop {
            let begun = Instant::now();
            if tell.send(Told::Looked(Box::new(Sample::take(&web)))).is_err() {
                return;
            }
            thread::sleep(every.saturating_sub(begun.elapsed()));
        }
    });
    let terminal = Terminal::take().map_err(no_terminal)?;
    let watched = watch(&arguments.admin, &looks, colour);
    drop(terminal);
    watched.map_err(no_terminal).map(|()| Exit::Verified)
}

fn once(web: &Web, wait: Duration, output: &mut Output) -> Result<Exit, Refusal> {
    let mut heard = Heard::default();
    heard.learn(Sample::take(web)?);
    thread::sleep(wait);
    heard.learn(Sample::take(web)?);
    if output.is_json() {
        return output.json(&document(&heard)).map(|()| Exit::Verified);
    }
    let width = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(PLAIN.width);
    for line in draw(&heard, &Screen { width, ..PLAIN }) {
        output.print(&format!("{}\n", line.trim_end()))?;
    }
    Ok(Exit::Verified)
}

/// Prints a document a line, for each look, until nobody reads them any more or the sidecar does not answer.
fn lines(web: &Web, every: Duration, output: &mut Output) -> Result<Exit, Refusal> {
    let mut heard = Heard::default();
    loop {
        let begun = Instant::now();
        heard.learn(Sample::take(web)?);
        output.json_line(&document(&heard))?;
        output.flush()?;
        if output.is_closed() {
            return Ok(Exit::Verified);
        }
        thread::sleep(every.saturating_sub(begun.elapsed()));
    }
}

/// What the one who draws is told.
enum Told {
    Looked(Box<Result<Sample, Refusal>>),
    /// A signal says to end.
    End,
}

/// Has signals that would end the process end the view, so that the terminal is given back.
#[cfg(unix)]
fn end_on_signals(tell: Sender<Told>) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let entered = runtime.enter();
    let (mut ended, mut left) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut interrupted = signal(SignalKind::interrupt())?;
    drop(entered);
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = ended.recv() => {}
                _ = left.recv() => {}
                _ = interrupted.recv() => {}
            }
        });
        // The view ended by itself meanwhile.
        _ = tell.send(Told::End);
    });
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, clippy::needless_pass_by_value, reason = "as where there are signals")]
fn end_on_signals(_: Sender<Told>) -> io::Result<()> {
    Ok(())
}

/// Draws what is heard until a key or a signal says to end.
fn watch(url: &str, looks: &Receiver<Told>, colour: bool) -> io::Result<()> {
    let mut heard = Heard::of(url);
    let mut out = io::stdout();
    loop {
        let is_new = match looks.recv_timeout(TICK) {
            Ok(Told::Looked(look)) => {
                match *look {
                    Ok(sample) => heard.learn(sample),
                    Err(refusal) => heard.lose(&refusal),
                }
                true
            }
            Err(RecvTimeoutError::Timeout) => false,
            // Nothing will come any more where those who tell ended.
            Ok(Told::End) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        let mut is_resized = false;
        while poll(Duration::ZERO)? {
            match read()? {
                Event::Key(key) if ends(key.code, key.modifiers) => return Ok(()),
                Event::Resize(..) => is_resized = true,
                _ => {}
            }
        }
        if is_new || is_resized {
            let (width, height) = size()?;
            let screen = Screen { width: width.into(), height: height.into(), colour };
            queue!(out, MoveTo(0, 0))?;
            for (line, row) in draw(&heard, &screen).iter().zip(0..) {
                queue!(out, MoveTo(0, row))?;
                write!(out, "{line}")?;
                queue!(out, Clear(ClearType::UntilNewLine))?;
            }
            queue!(out, Clear(ClearType::FromCursorDown))?;
            out.flush()?;
        }
    }
}

fn ends(code: KeyCode, modifiers: KeyModifiers) -> bool {
    let control = modifiers.contains(KeyModifiers::CONTROL);
    matches!(code, KeyCode::Char('q') | KeyCode::Esc) || (control && matches!(code, KeyCode::Char('c' | 'd')))
}

/// The terminal while it is ours; given back when dropped.
struct Terminal;

impl Terminal {
    fn take() -> io::Result<Self> {
        enable_raw_mode()?;
        let taken = Self;
        execute!(io::stdout(), EnterAlternateScreen, DisableLineWrap, Hide)?;
        Ok(taken)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that takes nothing any more.
        let _ = execute!(io::stdout(), Show, EnableLineWrap, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

fn no_terminal(error: io::Error) -> Refusal {
    Refusal::unavailable(
        format_args!("the terminal cannot be drawn on: {error}"),
        "Run it in a terminal, or print one frame with --once, or numbers with --json.",
    )
}
