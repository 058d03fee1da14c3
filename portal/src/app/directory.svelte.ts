import * as api from "../api/client";
import type { CompanyNumber, RecordRule, User } from "../api/model";
import { asProblem, type ApiProblem } from "../api/problem";

/** The domain's users and numbers, asked for once and shared by the panel and the page of users. */
class Team {
  users = $state.raw<User[] | null>(null);
  numbers = $state.raw<CompanyNumber[] | null>(null);
  problem = $state.raw<ApiProblem | null>(null);

  async load(): Promise<void> {
    try {
      [this.users, this.numbers] = await Promise.all([api.users(), api.numbers()]);
      this.problem = null;
    } catch (failure) {
      this.problem = asProblem(failure);
    }
  }

  /** Change whose talks are recorded: shown at once, taken back when the API refuses. Raises ApiProblem. */
  async setRecord(login: string, record: RecordRule): Promise<void> {
    const before = this.users?.find((one) => one.login === login);
    if (before === undefined) return;
    this.#put({ ...before, record });
    try {
      this.#put(await api.setRecord(login, record));
    } catch (failure) {
      this.#put(before);
      throw asProblem(failure);
    }
  }

  #put(user: User): void {
    this.users = this.users?.map((one) => (one.login === user.login ? user : one)) ?? null;
  }
}

export const team = new Team();

/** A party of a call: the name with the extension where it is a colleague's, else the number as it is. */
export function personSaid(who: string): string {
  return named(
    who,
    team.users?.find((one) => one.extension === who),
  );
}

/** A user, known by the login. */
export function userSaid(login: string): string {
  const user = team.users?.find((one) => one.login === login);
  return named(user?.extension || login, user);
}

function named(who: string, user: User | undefined): string {
  return user === undefined || user.name === "" || user.name === who
    ? who
    : `${user.name} (${who})`;
}
