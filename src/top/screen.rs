//! What is on the screen, and what keys do to it. Drawing is a pure function of this and of what the processes said.

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::Line,
    widgets::{Clear, Paragraph},
};

use super::{
    process::Process,
    table::{Mood, Order, Table},
    units::{self, Unit},
    views::View,
};
use crate::metrics::list;

const HELP: &[&str] = &[
    "tab, shift-tab   next view, previous view",
    "1 … 5            tasks, files, kafka, store, processes",
    "arrows, j k      move; page up, page down, home, end",
    "s                sort by the next column",
    "r                the other way round",
    "/                filter: type, then enter; esc ends it",
    "p                pause, and go on",
    "?                this help",
    "q                quit",
];

/// What a person chose to see.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    pub(super) view: View,
    orders: [Order; View::ALL.len()],
    filter: String,
    is_typing: bool,
    pub(super) is_paused: bool,
    shows_help: bool,
    chosen: usize,
    /// The first row on the screen.
    top: usize,
    /// How many rows there were, and how many had room, when it was last drawn.
    rows: usize,
    room: usize,
    has_colour: bool,
}

/// What is shown around the table.
pub(super) struct Surroundings<'a> {
    pub(super) processes: &'a [Process],
    /// Why nobody knows who is there, if so.
    pub(super) trouble: Option<&'a str>,
}

impl Screen {
    pub(super) fn new(view: View, has_colour: bool) -> Self {
        Self {
            view,
            orders: View::ALL.map(View::order),
            filter: String::new(),
            is_typing: false,
            is_paused: false,
            shows_help: false,
            chosen: 0,
            top: 0,
            rows: 0,
            room: 0,
            has_colour,
        }
    }

    /// Does what a key says; false if it says to quit.
    pub(super) fn press(&mut self, key: KeyEvent) -> bool {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return !matches!(key.code, KeyCode::Char('c' | 'd'));
        }
        if self.is_typing {
            self.typed(key.code);
            return true;
        }
        if self.shows_help {
            self.shows_help = false;
            return true;
        }
        match key.code {
            KeyCode::Char('q') => return false,
            KeyCode::Char('?' | 'h') => self.shows_help = true,
            KeyCode::Char('p') => self.is_paused = !self.is_paused,
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Tab => self.turn(1),
            KeyCode::BackTab => self.turn(View::ALL.len() - 1),
            KeyCode::Char(digit @ '1'..='5') => self.look_at(View::ALL[digit as usize - '1' as usize]),
            KeyCode::Char('s') => {
                let columns = self.view.table(&[]).columns.len();
                let order = self.order_mut();
                *order = Order { column: (order.column + 1) % columns, reversed: false };
            }
            KeyCode::Char('r') => self.order_mut().reversed ^= true,
            KeyCode::Down | KeyCode::Char('j') => self.chosen += 1,
            KeyCode::Up | KeyCode::Char('k') => self.chosen = self.chosen.saturating_sub(1),
            KeyCode::PageDown => self.chosen += self.room.max(1),
            KeyCode::PageUp => self.chosen = self.chosen.saturating_sub(self.room.max(1)),
            KeyCode::Home => self.chosen = 0,
            KeyCode::End => self.chosen = self.rows,
            _ => (),
        }
        true
    }

    fn typed(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => (self.is_typing, self.filter) = (false, String::new()),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(c) => self.filter.push(c),
            _ => (),
        }
    }

    fn turn(&mut self, by: usize) {
        let at = self.at();
        self.look_at(View::ALL[(at + by) % View::ALL.len()]);
    }

    fn look_at(&mut self, view: View) {
        (self.view, self.chosen, self.top) = (view, 0, 0);
    }

    fn at(&self) -> usize {
        View::ALL.iter().position(|view| *view == self.view).unwrap_or(0)
    }

    fn order_mut(&mut self) -> &mut Order {
        let at = self.at();
        &mut self.orders[at]
    }

    /// The table of the view, in its order.
    fn table(&self, processes: &[Process]) -> Table {
        let mut table = self.view.table(processes);
        if !self.filter.is_empty() {
            table.filter(&self.filter);
        }
        table.sort(self.orders[self.at()]);
        table
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>, around: &Surroundings<'_>) {
        let rows = [
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Min(0),
            Constraint::Length(1),
        ];
        let [summary, tabs, head, body, foot] = Layout::vertical(rows).areas(frame.area());
        frame.render_widget(self.summary(around), summary);
        frame.render_widget(self.tabs(), tabs);
        self.draw_table(frame, head, body, around.processes);
        frame.render_widget(self.foot(), foot);
        if self.shows_help {
            self.draw_help(frame, body);
        }
    }

    fn draw_table(&mut self, frame: &mut Frame<'_>, head: Rect, body: Rect, processes: &[Process]) {
        let mut table = self.table(processes);
        self.rows = table.rows.len();
        self.room = usize::from(body.height);
        self.chosen = self.chosen.min(self.rows.saturating_sub(1));
        self.top = self.top.min(self.chosen).max((self.chosen + 1).saturating_sub(self.room));
        if table.rows.is_empty() {
            frame.render_widget(Paragraph::new(self.nothing(processes)), body);
            return;
        }
        // What isn't on the screen needs no width.
        table.rows = table.rows.drain(..).skip(self.top).take(self.room).collect();
        let (titles, lines) = table.lines(Some(usize::from(head.width)));
        frame.render_widget(Line::styled(titles, self.style(None, Modifier::BOLD)), head);
        let lines = lines.into_iter().zip(&table.rows).enumerate().map(|(at, (line, row))| {
            let modifier = if self.top + at == self.chosen { Modifier::REVERSED } else { Modifier::empty() };
            let colour = match row.mood {
                Mood::Calm => None,
                Mood::Uneasy => Some(Color::Yellow),
                Mood::Bad => Some(Color::Red),
            };
            Line::styled(line, self.style(colour, modifier))
        });
        frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), body);
    }

    /// Why the view is empty.
    fn nothing(&self, processes: &[Process]) -> &'static str {
        let tells = processes.iter().any(|process| process.state().is_some());
        match self.view {
            _ if !self.filter.is_empty() => "nothing has these letters in it; esc shows all",
            _ if processes.iter().all(|process| process.change().is_none()) => "nothing was heard yet",
            View::Files if !tells => "no process tells of its files: metrics.debug = true allows it",
            View::Tasks | View::Files => "no process reads files",
            View::Kafka => "nothing goes to Kafka or comes from it",
            View::Store => "nothing goes into a store",
            View::Processes => "no process is registered",
        }
    }

    fn summary(&self, around: &Surroundings<'_>) -> Line<'static> {
        let Surroundings { processes, trouble } = around;
        let away: Vec<&Process> = processes.iter().filter(|process| process.trouble.is_some()).collect();
        if let Some(why) = trouble.or_else(|| away.first().and_then(|process| process.trouble.as_deref())) {
            return Line::styled(format!("logdrive top  {why}"), self.style(Some(Color::Red), Modifier::BOLD));
        }
        let rate =
            |name: &str| -> f64 { processes.iter().filter_map(|process| process.change()?.rate(name, &[])).sum() };
        let sum = |name: &str| -> f64 { processes.iter().filter_map(|process| process.change()?.sum(name, &[])).sum() };
        let who = match processes {
            [one] => one.name.clone(),
            many => format!("{} processes", many.len()),
        };
        let text = |number, unit| units::text(number, unit);
        let (in_flight, limit) = (sum(list::IN_FLIGHT_BYTES.name), sum(list::IN_FLIGHT_LIMIT_BYTES.name));
        let errors = rate(list::ERRORS.name);
        let line = format!(
            "{who}  {} lines/s  in flight {} of {}  cpu {}  memory {}  errors {}/s",
            text(rate(list::READ_LINES.name), Unit::Count),
            text(in_flight, Unit::Bytes),
            text(limit, Unit::Bytes),
            text(rate("process_cpu_seconds_total"), Unit::Share),
            text(sum("process_resident_memory_bytes"), Unit::Bytes),
            text(errors, Unit::Count),
        );
        let is_full = limit > 0.0 && in_flight > 0.95 * limit;
        let colour = if errors > 0.0 || is_full { Some(Color::Yellow) } else { None };
        Line::styled(line, self.style(colour, Modifier::empty()))
    }

    fn tabs(&self) -> Line<'static> {
        let tab =
            |view: View| if view == self.view { format!("[{}]", view.name()) } else { format!(" {} ", view.name()) };
        Line::styled(View::ALL.map(tab).concat(), self.style(Some(Color::Cyan), Modifier::empty()))
    }

    fn foot(&self) -> Line<'static> {
        if self.is_typing {
            return Line::raw(format!("/{}_", self.filter));
        }
        let order = self.orders[self.at()];
        let columns = self.view.table(&[]).columns;
        let by = columns[order.column.min(columns.len() - 1)].head;
        let turned = if order.reversed { " reversed" } else { "" };
        let paused = if self.is_paused { "PAUSED  " } else { "" };
        let filter = if self.filter.is_empty() { String::new() } else { format!("  filter {}", self.filter) };
        let rows = if self.rows == 1 { "row" } else { "rows" };
        let text = format!("{paused}by {by}{turned}  {} {rows}{filter}  ? help  q quit", self.rows);
        Line::styled(text, self.style(None, Modifier::DIM))
    }

    fn draw_help(&self, frame: &mut Frame<'_>, body: Rect) {
        frame.render_widget(Clear, body);
        frame.render_widget(Paragraph::new(HELP.iter().map(|line| Line::raw(*line)).collect::<Vec<_>>()), body);
    }

    /// Colours only where they are wanted; what is chosen and what is a head can be told without.
    fn style(&self, colour: Option<Color>, modifier: Modifier) -> Style {
        let style = Style::new().add_modifier(modifier);
        match colour {
            Some(colour) if self.has_colour => style.fg(colour),
            _ => style,
        }
    }
}
