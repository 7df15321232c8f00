// A remote worker by long poll, with Go's standard library alone.
//
//	go run . http://127.0.0.1:8080 shipping
//
// It keeps what the protocol asks of a worker: an outcome is kept and sent again until it is acknowledged, each poll says what is
// held, a cancelled task is ended and its outcome sent all the same, and a session that is gone is begun anew.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const (
	credit      = 8
	waitSeconds = 10.0
	silence     = 20 * time.Second
)

// Task is one attempt at one side of a step.
type Task struct {
	Fence          string          `json:"fence"`
	Step           string          `json:"step"`
	Compensation   bool            `json:"compensation"`
	Attempt        int             `json:"attempt"`
	IdempotencyKey string          `json:"idempotency_key"`
	ActionKey      string          `json:"action_key"`
	Input          json.RawMessage `json:"input"`
	Output         json.RawMessage `json:"output"`
	TimeoutSeconds float64         `json:"timeout_seconds"`
}

// Failure says how a step failed: refused, permanent or temporary.
type Failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

func (failure *Failure) Error() string { return failure.Message }

// Outcome is kept until it is acknowledged.
type Outcome struct {
	Fence   string   `json:"fence"`
	Output  any      `json:"output"`
	Failure *Failure `json:"failure"`
}

// Code is one side of a step.
type Code func(ctx context.Context, task Task) (any, error)

// Step is what a worker offers.
type Step struct {
	Action, Compensation Code
	TimeoutSeconds       float64
}

type news struct {
	Tasks        []Task `json:"tasks"`
	Acknowledged []struct {
		Fence string `json:"fence"`
	} `json:"acknowledged"`
	Cancelled []struct {
		Fence string `json:"fence"`
	} `json:"cancelled"`
	Over []string `json:"over"`
}

var errSessionGone = errors.New("the session is gone")

// Worker runs the steps of one participant for one server.
type Worker struct {
	Server, Participant string
	Steps               map[string]Step

	lock    sync.Mutex
	session string
	running map[string]context.CancelFunc
	kept    map[string]Outcome
	news    chan struct{} // an outcome is there, so the poll that waits is ended by a newer one
}

// Run polls until the context ends; then it finishes what it has.
func (worker *Worker) Run(ctx context.Context) error {
	worker.running, worker.kept = map[string]context.CancelFunc{}, map[string]Outcome{}
	worker.news = make(chan struct{}, 1)
	pause := 100 * time.Millisecond
	for ctx.Err() == nil || !worker.idle() {
		err := worker.once(ctx)
		var refused *Failure
		switch {
		case err == nil:
			pause = 100 * time.Millisecond
			continue
		case errors.As(err, &refused):
			return err // it would be refused again
		case errors.Is(err, errSessionGone):
			worker.forget()
		}
		time.Sleep(pause)
		pause = min(2*pause, 5*time.Second)
	}
	return worker.call(context.Background(), http.MethodDelete, "/v1/workers/"+worker.session, nil, nil)
}

func (worker *Worker) once(ctx context.Context) error {
	if worker.session == "" {
		return worker.join(ctx)
	}
	worker.lock.Lock()
	holding, outcomes := []string{}, []Outcome{}
	for fence := range worker.running {
		holding = append(holding, fence)
	}
	for _, outcome := range worker.kept {
		outcomes = append(outcomes, outcome)
	}
	worker.lock.Unlock()
	wait := waitSeconds
	if len(outcomes) > 0 { // its acknowledgement comes at once, or with the next poll
		wait = 0.5
	}
	asked := map[string]any{
		"credit": credit, "holding": holding, "outcomes": outcomes, "wait_seconds": wait, "drain": ctx.Err() != nil,
	}
	polling, cancel := context.WithTimeout(context.Background(), silence)
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-worker.news:
			cancel()
		case <-ended:
		}
	}()
	var told news
	err := worker.call(polling, http.MethodPost, "/v1/workers/"+worker.session+"/poll", asked, &told)
	if errors.Is(err, context.Canceled) {
		return nil // with an outcome to bring; what the answer had is told again
	}
	if err != nil {
		return err
	}
	worker.take(told)
	return nil
}

func (worker *Worker) take(told news) {
	worker.lock.Lock()
	defer worker.lock.Unlock()
	for _, each := range told.Acknowledged {
		delete(worker.kept, each.Fence)
	}
	for _, fence := range told.Over {
		delete(worker.kept, fence)
		if cancel, runs := worker.running[fence]; runs {
			cancel()
		}
	}
	for _, each := range told.Cancelled {
		if cancel, runs := worker.running[each.Fence]; runs {
			cancel()
		}
	}
	for _, task := range told.Tasks {
		if _, runs := worker.running[task.Fence]; runs {
			continue
		}
		if _, done := worker.kept[task.Fence]; done {
			continue
		}
		limit := time.Duration(task.TimeoutSeconds * float64(time.Second))
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		worker.running[task.Fence] = cancel
		go worker.run(ctx, task)
	}
}

func (worker *Worker) run(ctx context.Context, task Task) {
	outcome := Outcome{Fence: task.Fence}
	step := worker.Steps[task.Step]
	code := step.Action
	if task.Compensation {
		code = step.Compensation
	}
	output, err := code(ctx, task)
	var failure *Failure
	switch {
	case errors.As(err, &failure):
		outcome.Failure = failure
	case err != nil:
		outcome.Failure = &Failure{Kind: "temporary", Message: err.Error()}
	default:
		outcome.Output = output
	}
	worker.lock.Lock()
	worker.running[task.Fence]()
	delete(worker.running, task.Fence)
	worker.kept[task.Fence] = outcome
	worker.lock.Unlock()
	select {
	case worker.news <- struct{}{}:
	default:
	}
}

func (worker *Worker) join(ctx context.Context) error {
	steps := []map[string]any{}
	for name, step := range worker.Steps {
		steps = append(steps, map[string]any{
			"name": name, "compensation": step.Compensation != nil, "timeout_seconds": step.TimeoutSeconds,
		})
	}
	asked := map[string]any{"participant": worker.Participant, "steps": steps, "credit": credit, "worker": "go"}
	var answer struct {
		Session string `json:"session"`
	}
	limited, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	if err := worker.call(limited, http.MethodPost, "/v1/workers", asked, &answer); err != nil {
		return err
	}
	worker.session = answer.Session
	return nil
}

func (worker *Worker) idle() bool {
	worker.lock.Lock()
	defer worker.lock.Unlock()
	return len(worker.running) == 0 && len(worker.kept) == 0
}

func (worker *Worker) forget() {
	worker.lock.Lock()
	defer worker.lock.Unlock()
	for _, cancel := range worker.running {
		cancel()
	}
	worker.session, worker.kept = "", map[string]Outcome{}
}

func (worker *Worker) call(ctx context.Context, method, path string, asked, answer any) error {
	var body io.Reader
	if asked != nil {
		encoded, err := json.Marshal(asked)
		if err != nil {
			return err
		}
		body = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, worker.Server+path, body)
	if err != nil {
		return err
	}
	if asked != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode == http.StatusNotFound:
		return errSessionGone
	case response.StatusCode == http.StatusBadRequest || response.StatusCode == http.StatusConflict:
		return &Failure{Kind: "permanent", Message: string(said)}
	case response.StatusCode >= 300:
		return fmt.Errorf("%s: %s", response.Status, said)
	case answer == nil:
		return nil
	}
	return json.Unmarshal(said, answer)
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: worker SERVER PARTICIPANT")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	worker := &Worker{Server: os.Args[1], Participant: os.Args[2], Steps: map[string]Step{
		"ship": {TimeoutSeconds: 30, Action: func(_ context.Context, task Task) (any, error) {
			var input struct {
				To string `json:"to"`
			}
			if err := json.Unmarshal(task.Input, &input); err != nil {
				return nil, &Failure{Kind: "permanent", Message: err.Error()}
			}
			if input.To == "nowhere" {
				return nil, &Failure{Kind: "refused", Message: "there is no such place"}
			}
			return map[string]string{"parcel": "to " + input.To}, nil
		}},
	}}
	if err := worker.Run(ctx); err != nil && !errors.Is(err, errSessionGone) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
