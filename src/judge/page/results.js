// results.js - fills the page of results, and again every few seconds while it is looked at.

import { ask } from "./outbox.js";

const EVERY = 5000; // ms

// What is usually said of a kappa (Landis and Koch, 1977).
const WORDS = [
  [0, "No more agreement than chance gives."],
  [0.2, "Slight agreement."],
  [0.4, "Fair agreement."],
  [0.6, "Moderate agreement."],
  [0.8, "Substantial agreement."],
  [Infinity, "Almost perfect agreement."],
];

const $ = (id) => document.getElementById(id);
const percent = (part) => (typeof part === "number" ? `${Math.round(100 * part)} %` : "–");
const fixed = (value, digits) => (typeof value === "number" ? value.toFixed(digits).replace("-", "−") : "–");
const counted = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;

function figure(id, value, rest = "") {
  const small = document.createElement("small");
  small.textContent = rest;
  $(id).replaceChildren(value, " ", small);
}

function meaning(kappa) {
  if (typeof kappa !== "number") return "Not known before two listeners have judged the same triplet.";
  return `${WORDS.find(([most]) => kappa <= most)[1]} 0 is what chance gives, 1 is perfect.`;
}

function row(listener) {
  const cells = [
    listener.answers,
    listener.skipped,
    fixed(listener.median_seconds, 1),
    fixed(listener.answers_per_hour, 0),
    listener.repeats > 0 ? `${listener.repeats_same} of ${listener.repeats}` : "–",
    percent(listener.with_majority),
  ];
  const line = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = listener.name;
  line.append(name, ...cells.map((text) => {
    const cell = document.createElement("td");
    cell.textContent = text;
    return cell;
  }));
  return line;
}

function fill({ triplets, answers, listeners, agreement, self_agreement: self, model }) {
  figure("judged", triplets.voted, `of ${triplets.total}`);
  $("voted").max = Math.max(1, triplets.total);
  $("voted").value = triplets.voted;
  const complete = triplets.votes > 1 ? `${triplets.complete} with all ${triplets.votes} votes, ` : "";
  $("votes").textContent = `${counted(answers, "answer")}. ${complete}${triplets.decided} with a majority.`;
  figure("kappa", fixed(agreement.fleiss_kappa, 2));
  $("meaning").textContent = meaning(agreement.fleiss_kappa);
  $("unanimous").textContent = `${counted(agreement.triplets, "triplet")} with two votes or more; all agree on ${agreement.unanimous}.`;
  figure("self", percent(self.rate));
  $("repeats").textContent = self.repeats > 0
    ? `${self.same} of ${counted(self.repeats, "triplet")} that came twice got the same answer. One in three would be chance.`
    : "Some triplets come twice to each listener; none has been answered twice yet.";
  $("model").hidden = !model;
  if (model) {
    figure("accord", percent(model.agreement));
    $("compared").textContent = `${model.name} chooses as the majority does in that share of ${counted(model.compared, "triplet")}.`;
  }
  $("listeners").replaceChildren(...listeners.map(row));
  $("content").hidden = false;
}

async function refresh() {
  if (document.visibilityState === "visible") {
    try {
      fill(await ask("api/results"));
      $("fresh").textContent = `As of ${new Date().toLocaleTimeString()}`;
      $("banner").hidden = true;
    } catch (problem) {
      $("banner").textContent = problem.status === 401
        ? "The server asks for a token and this browser has none, or an old one. Open the whole address that you were given."
        : `The server does not answer (${problem.message}). Trying again.`;
      $("banner").hidden = false;
    }
  }
  setTimeout(refresh, EVERY);
}

refresh();
